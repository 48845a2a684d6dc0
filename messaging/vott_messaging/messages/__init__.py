"""What arrives on a queue: parsing and validating a message."""
