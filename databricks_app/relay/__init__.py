"""A small web service in front of a Databricks App: it verifies and adds a token."""
