"""Delta tables in a local folder, written and queried without a JVM."""
