"""The trainer image's program: annotated images in, a trained model in the labeller's container out."""
