"""Callbacks: the HTTP sender, the outcome of each TrainingJob, and relayed progress."""
