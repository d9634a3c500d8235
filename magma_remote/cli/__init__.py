"""The command `magma-remote`: wires model, runtime and adapters."""
