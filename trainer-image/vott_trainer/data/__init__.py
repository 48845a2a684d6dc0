"""Training data: decoding images and checking the dataset."""
