"""The training's processes: ranks, starting them, messages between them, signals, CPUs and GPUs."""
