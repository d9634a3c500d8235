"""`make setup`: what a machine needs before a campaign can run on it. Standard library only."""
