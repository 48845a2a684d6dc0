"""For all tests."""

import asyncio
import gc

# As the operator does, and for the same reason: many of the tests' objects live as long as the process, and Python looked at them again and again.
gc.set_threshold(50_000, 20, 20)

# Otherwise pytest-asyncio and looptime create an event loop in get_event_loop(), and no one closes it.
asyncio.set_event_loop(None)
