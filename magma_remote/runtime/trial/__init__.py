"""One trial: its container, its files, and its entry in `ar/`."""
