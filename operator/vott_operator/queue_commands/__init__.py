"""`vott-train queue`: for an administrator who repairs what was put aside."""

from .commands import queue

__all__ = ["queue"]
