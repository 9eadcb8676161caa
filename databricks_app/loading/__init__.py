"""The loader process: it takes batches from the inbox and puts them into the lake."""
