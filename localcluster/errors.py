"""Exceptions for users; each message has cause, place and remedy."""


class LocalClusterError(Exception):
    """A step failed."""

    exit_code = 1


class MissingPrerequisiteError(LocalClusterError):
    """The machine lacks something that localcluster can't install."""

    exit_code = 2


class CommandError(LocalClusterError):
    """A program failed."""
