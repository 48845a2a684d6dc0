"""`python -m vott_traind`, which the image runs as `traind.py`."""

import sys
from collections.abc import Sequence

from vott_traind import command_line


def main(argv: Sequence[str]) -> None:
    """Run the daemon with these arguments, and exit."""
    command_line.main.main(list(argv), prog_name="traind.py")


if __name__ == "__main__":
    main(sys.argv[1:])
