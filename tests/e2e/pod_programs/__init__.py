"""Programs that tests let run inside of the cluster: each is one file that needs only Python, and prints what it found as JSON."""
