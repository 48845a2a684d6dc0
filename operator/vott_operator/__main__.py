"""`python -m vott_operator`."""

from .cli import main

main()
