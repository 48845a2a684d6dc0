"""Programs that tests run in pods of the cluster. Each is one file that needs only Python."""
