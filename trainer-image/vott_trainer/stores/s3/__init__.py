"""S3: Amazon's, or a server with the same protocol, such as MinIO."""
