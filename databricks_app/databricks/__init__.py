"""One way to speak to a Databricks workspace: files, tokens, SQL sessions, errors."""
