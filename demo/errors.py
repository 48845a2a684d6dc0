"""Errors that end the demo: click prints the text and exits with the code. After an ObservationError it tries again."""

import click


class DemoError(click.ClickException):
    """The demo failed."""

    exit_code = 1


class TimeLimitError(DemoError):
    """The time limit was reached; the training continues."""


class SetupError(click.ClickException):
    """A variable or program is missing."""

    exit_code = 2


class ObservationError(Exception):
    """The state of a training can't be read now."""
