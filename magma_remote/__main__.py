"""`python -m magma_remote` is `magma-remote`."""

from magma_remote.cli.main import main

main()
