"""Where models and checkpoints go: Azure containers, S3 buckets, folders, and links that take one object."""
