"""From a queue message to a TrainingJob: capacity, duplicate detection, conversion."""
