"""The exceptions a user may see; each message says what went wrong, where, and what to do."""


class LocalClusterError(Exception):
    """A step failed."""

    exit_code = 1


class MissingPrerequisiteError(LocalClusterError):
    """The machine lacks something that localcluster can't provide by itself."""

    exit_code = 2


class CommandError(LocalClusterError):
    """A program that a step ran ended with an error."""
