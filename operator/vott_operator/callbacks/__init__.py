"""Callbacks: the HTTP sender, the outcome of each training with its retries, and progress where callbacks are signed."""
