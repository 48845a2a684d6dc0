"""From a queue message to a TrainingJob: receipt, capacity, duplicate detection, conversion, rejection."""
