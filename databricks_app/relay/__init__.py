"""A small web service in front of a Databricks App: verifies requests and adds a token."""
