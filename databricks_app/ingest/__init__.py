"""Make a request durable: verify, append to the inbox, answer. Parses no content."""
