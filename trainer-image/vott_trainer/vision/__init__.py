"""Detection and classification of images: networks, samples, augmentation, evaluation and ONNX export."""
