"""Whether a WORKDIR holds what it should, byte for byte."""
