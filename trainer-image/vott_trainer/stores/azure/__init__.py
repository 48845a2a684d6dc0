"""Azure Blob Storage: containers and blobs."""
