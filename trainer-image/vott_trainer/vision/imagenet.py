"""Mean and standard deviation of ImageNet's pixels, as networks with its weights expect them."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB, 0..1
