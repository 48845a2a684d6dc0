"""Progress: the current snapshot, and reporting it to the TrainingJob and the callback."""
