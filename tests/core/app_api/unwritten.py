"""The nouns of the inventory that have no module; who writes one deletes its line."""

UNWRITTEN: frozenset[str] = frozenset()
