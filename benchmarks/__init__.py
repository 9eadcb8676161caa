"""How fast the receiver is, and against what: `python -m benchmarks`.

Not part of the product: nothing in `databricks_app` or `core` imports it. The outcome of the
newest runs stands in `RESULTS.md`.
"""
