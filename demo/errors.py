"""What ends a demo early. Click prints the text and leaves with the exit code."""

import click


class DemoError(click.ClickException):
    """The demo can't go on, or did not show what it promises."""

    exit_code = 1


class TimeLimitError(DemoError):
    """The training took longer than the demo was told to wait. It goes on."""


class SetupError(click.ClickException):
    """Something has to be set or installed first."""

    exit_code = 2
