"""Errors of the receiver.

ReceiverError
+-- SettingsError            a setting cannot be used; says which and why
+-- InboxError               the inbox cannot store now
|   +-- InboxFull            its size limit or the disk is reached
|   +-- InboxTimeout         not durable within the deadline
|   +-- InboxClosed          the process is stopping
+-- LakeError                tables cannot be written or read; says what to do
|   +-- Standby              another instance loads
|   +-- WorkspaceError       the Databricks workspace did not do what was asked
+-- QueryError               a query cannot be answered; says why
+-- TokenError               there is no OAuth token now; says why
+-- DeploymentError          a deployment cannot go on; says what to do
"""

from __future__ import annotations


class ReceiverError(Exception):
    """Anything this package raises on purpose; its text says what to do next."""


class SettingsError(ReceiverError):
    """A setting cannot be used."""


class InboxError(ReceiverError):
    """The inbox cannot store now; the sender is answered 503."""


class InboxFull(InboxError):  # noqa: N818  # a state of the inbox, as queue.Full
    """The inbox's size limit or the disk's end is reached."""


class InboxTimeout(InboxError):  # noqa: N818  # as TimeoutError's siblings
    """The record was not durable within the deadline."""


class InboxClosed(InboxError):  # noqa: N818  # a state of the inbox
    """The process is stopping and takes no more records."""


class LakeError(ReceiverError):
    """The tables cannot be written or read."""


class QueryError(ReceiverError):
    """A query cannot be answered."""


class ValueRefused(Exception):  # noqa: N818  # a verdict on rows, caught by the bisection
    """The engine will never take some value of these rows.

    Attributes:
        error: Name of the error's type; its text may show the row and is not kept.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
