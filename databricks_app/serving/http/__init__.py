"""HTTP of the worker: requests from bytes, answers to bytes, and what a connection does between."""
