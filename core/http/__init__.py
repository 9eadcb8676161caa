"""One HTTP client for both APIs: keys, retries, rate limits, errors by status, downloads."""
