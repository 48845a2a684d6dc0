"""The trainer: from annotated images to a trained model in the labeller's container."""
