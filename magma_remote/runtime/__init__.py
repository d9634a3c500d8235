"""What runs: trials, leases, signals. Knows the outside world through `ports` alone."""
