"""A request becomes durable: verify, append to the inbox, answer. Parses no content."""
