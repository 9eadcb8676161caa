"""The SQL connector's connection, without what it does when it is forgotten.

Imports the connector: import this module where a session is opened, not before.
"""

from __future__ import annotations

from databricks.sql.client import Connection


class OwnConnection(Connection):
    """A session that is closed by whoever opened it, or by the server."""

    def __del__(self) -> None:
        """Close nothing.

        The connector would ask the server, for up to a minute where that is away, in whichever
        thread the garbage is collected.
        """
