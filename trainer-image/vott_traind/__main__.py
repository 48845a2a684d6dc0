"""`python -m vott_traind`, which the image runs as `traind.py`."""

import sys
from collections.abc import Sequence

from vott_traind.command_line import main as command


def main(argv: Sequence[str]) -> None:
    """Run the daemon with these arguments, and exit."""
    command.main(list(argv))


if __name__ == "__main__":
    main(sys.argv[1:])
