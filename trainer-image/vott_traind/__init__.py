"""The daemon `traind.py`: takes messages from queues and trains them on this machine, without Kubernetes."""
