"""Tasks that need more than one call: exports, imports, messages, broadcasts, metrics.

Each module uses an `AppClient` through the methods of its nouns.
"""
