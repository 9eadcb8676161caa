"""Delta tables in a local folder; no JVM is needed to write or query them."""
