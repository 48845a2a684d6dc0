"""Queues, messages, callbacks and rejections, without Kubernetes: shared by every program that trains what a queue delivers."""
