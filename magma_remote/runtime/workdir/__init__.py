"""A WORKDIR: what it remembers, what its trials hold, and where they come from."""
