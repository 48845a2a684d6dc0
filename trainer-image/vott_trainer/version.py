"""The trainer's version. `make version` copies it from the root pyproject.toml; the image has no package metadata."""

VERSION = "0.1.0"
