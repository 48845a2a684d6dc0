"""`vott-train queue`: for an administrator who repairs what was put aside."""

from vott_operator.queue_commands.commands import queue

__all__ = ["queue"]
