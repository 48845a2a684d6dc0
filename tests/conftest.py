"""Interpreter settings for all tests."""

import asyncio
import gc
import os

# Threads of torch that wait must not spin, because several test processes share the CPUs. Read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# As in the operator: many objects live as long as the process, so frequent collections are wasted.
gc.set_threshold(50_000, 20, 20)

# Otherwise pytest-asyncio and looptime create an event loop in get_event_loop(), and no one closes it.
asyncio.set_event_loop(None)
