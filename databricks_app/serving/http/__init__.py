"""HTTP of the worker: parses requests, makes answers, and manages connections."""
