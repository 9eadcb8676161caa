"""The SQL connector's connection without its finalizer.

Importing this module imports the connector, so import it only where a session is opened.
"""

from __future__ import annotations

from databricks.sql.client import Connection


class OwnConnection(Connection):
    """A session that its owner closes; otherwise the server closes it after some time."""

    def __del__(self) -> None:
        """Close nothing."""
        # The connector would call the server here, in the thread where the garbage collector runs,
        # and wait up to a minute if the server cannot be reached.
