"""Exit codes of the trainer container (docs/trainer-contract.md); names and numbers of `sysexits.h` where one fits.

The trainer exits with them, and the operator's podFailurePolicy depends on them. A process that a signal ends counts as 128 + n,
as in a shell.
"""

USAGE = 64
DATA = 65
NO_INPUT = 66
SOFTWARE = 70
CANNOT_CREATE = 73
TEMPORARY_FAILURE = 75
SIGTERM = 143
"""The pod was stopped; the training did not fail."""

PERMANENT = (USAGE, DATA, NO_INPUT, CANNOT_CREATE)
"""A retry can't help."""
