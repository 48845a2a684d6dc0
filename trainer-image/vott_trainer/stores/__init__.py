"""Stores for models and checkpoints: Azure containers, S3 buckets, folders, and presigned links."""
