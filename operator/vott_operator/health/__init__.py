"""What the operator can't do at the moment, for probes, Events, the log and metrics."""
