"""Pure decisions: no I/O but reading the text that callers hand in; standard library only."""
