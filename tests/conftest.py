"""For all tests."""

import gc

# As the operator does, and for the same reason: many of the tests' objects live as long as the process, and Python looked at them again and again.
gc.set_threshold(50_000, 20, 20)
