"""One delivery of a message, from receipt to settlement: lock renewal, completion, rejection, retries."""
