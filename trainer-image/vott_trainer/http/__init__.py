"""Guarded HTTP: downloads, retries, URLs and the image cache."""
