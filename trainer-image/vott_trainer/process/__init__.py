"""The training's processes: ranks, launcher, signals, CPUs and GPUs."""
