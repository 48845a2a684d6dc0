"""Shared by the operator and the trainer: the guarded HTTP client, address rules, URLs, redaction, retries and callbacks."""
