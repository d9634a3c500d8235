"""What a worker says and hears: its steps, and their parts."""
