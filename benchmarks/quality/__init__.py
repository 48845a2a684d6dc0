"""How good the models are that the trainer makes from a folder of annotated images."""
