"""The daemon for a single machine: starts the trainer for each message of its queues, without Kubernetes."""
