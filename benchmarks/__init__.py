"""Speed, always as a ratio to a plain yardstick measured in the same run."""
