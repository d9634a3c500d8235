"""`make lab`: a dispatcher and workers as real systemd hosts on this machine. Standard library only."""
