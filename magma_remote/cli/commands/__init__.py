"""The commands, a module each; those of a campaign file share one."""
