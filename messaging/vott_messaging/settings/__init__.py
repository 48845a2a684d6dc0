"""Settings of queues, plugins, callbacks and outgoing requests: sections of each program's settings."""
