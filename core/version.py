"""The version of this project. A test compares it with pyproject.toml."""

VERSION = "0.1.0"
