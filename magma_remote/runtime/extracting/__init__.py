"""The PoCs of trials that are over, taken out of a WORKDIR."""
