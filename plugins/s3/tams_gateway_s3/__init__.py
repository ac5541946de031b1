"""Objects in S3 buckets: clients upload and read by signed URLs, past the gateway."""
