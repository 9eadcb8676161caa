"""What benchmarks and tests both need: real receivers and loaders, clients, kills, a verdict.

Nothing here imports a test. The double of a Databricks workspace is reached as a process alone.
"""
