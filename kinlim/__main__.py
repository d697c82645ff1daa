"""`python -m kinlim` is `kinlim`."""

from kinlim.cli import main

main()
