"""What a worker does on its machine: set up, run, keep and forget results."""
