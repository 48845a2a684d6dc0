"""The command `vott-train queue`: list, peek at, requeue and purge dead-lettered messages."""

from vott_operator.queue_commands.commands import queue

__all__ = ["queue"]
