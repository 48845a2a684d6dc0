"""Exit codes of the container (docs/trainer-contract.md); names and numbers of `sysexits.h` where one fits.

The operator's podFailurePolicy depends on them. A process that a signal ends counts as 128 + n, as in a shell.
"""

USAGE = 64
DATA = 65
NO_INPUT = 66
SOFTWARE = 70
CANNOT_CREATE = 73
TEMPORARY_FAILURE = 75
SIGTERM = 143
