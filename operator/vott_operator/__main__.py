"""`python -m vott_operator`."""

from vott_operator.cli import main

main()
