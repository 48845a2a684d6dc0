"""A single-node Kubernetes cluster for the demo and tests, built from packages only, and control planes without nodes."""
