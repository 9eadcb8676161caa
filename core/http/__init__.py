"""The HTTP client of both APIs: keys, retries, rate limits, errors by status, downloads."""
