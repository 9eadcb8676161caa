"""Shared by benchmarks and tests: real receivers and loaders, clients, kills, checks of tables.

Nothing here imports a test. The double of a Databricks workspace runs only as a process.
"""
