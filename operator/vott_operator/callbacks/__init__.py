"""Callbacks of TrainingJobs: the outcome of each with its retries, and progress where callbacks are signed."""
