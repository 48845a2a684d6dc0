"""What image plugins share: models, samples, measuring and drawing."""
