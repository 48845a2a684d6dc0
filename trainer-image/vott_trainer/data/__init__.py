"""Training data: image download and decoding, checks of the dataset, and the split into training and held-out images."""
