"""Access to a Databricks workspace: files, tokens, SQL sessions, errors."""
