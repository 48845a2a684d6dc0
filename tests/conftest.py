"""Interpreter settings for all tests."""

import asyncio
import gc

# As in the operator: many objects live as long as the process, so frequent collections are wasted.
gc.set_threshold(50_000, 20, 20)

# Otherwise pytest-asyncio and looptime create an event loop in get_event_loop(), and no one closes it.
asyncio.set_event_loop(None)
