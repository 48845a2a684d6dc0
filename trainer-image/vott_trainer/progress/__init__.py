"""Progress of a training: the current snapshot, and its reports to the TrainingJob and the callback."""
