"""What takes more than one call: exports and imports, messages, broadcasts, metrics.

Each module works on an `AppClient` with the nouns' own methods, and on nothing else of it.
"""
