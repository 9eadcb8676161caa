"""Benchmarks of the receiver, and comparisons with other solutions: `python -m benchmarks`.

Not part of the product: nothing in `databricks_app` or `core` imports it. `RESULTS.md` has the
results of the newest runs.
"""
