"""The loader process: take batches from the inbox and load them into the tables."""
