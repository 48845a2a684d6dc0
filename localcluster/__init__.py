"""A real single-node Kubernetes for demo and tests, built from packages alone, and control planes without a node beside it."""
