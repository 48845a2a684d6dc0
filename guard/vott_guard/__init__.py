"""What the operator and the trainer share: the HTTP client with its address rules, URLs, redaction, retries and callbacks."""
