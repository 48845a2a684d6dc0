"""Backoff of the intake: after errors of the queue, and between attempts at one message."""

from vott_guard.backoff import Backoff

RECEIVE_BACKOFF = Backoff(first=1.0, longest=15.0)
MESSAGE_BACKOFF = Backoff(first=0.5, longest=15.0)
