"""Errors of the receiver.

ReceiverError
+-- SettingsError            a setting cannot be used; says which and why
+-- InboxError               the inbox cannot store now
|   +-- InboxFull            its size limit or the disk is reached
|   +-- InboxTimeout         not durable within the deadline
|   +-- InboxClosed          the process is stopping
+-- LakeError                tables cannot be written or read; says what to do
|   +-- Standby              another instance loads (lake)
|   +-- Unclear              the warehouse refused, and no rule knows why (databricks.sql_sessions)
|   +-- WorkspaceError       the workspace did not do what was asked (databricks.workspace)
+-- QueryError               a query cannot be answered; says why
+-- TokenError               there is no OAuth token now; says why
+-- DeploymentError          a deployment cannot go on; says what to do
+-- AddressError             what should be an address is none (operations.webhooks.addresses)
+-- EndpointError            an endpoint does not take an event (operations.webhooks.canary)
+-- KeyStoreError            keys cannot be kept or read (operations.webhooks.keys)
+-- RotationError            a key cannot be replaced now (operations.webhooks.rotation)
+-- SetupError               a webhook cannot be set up (operations.webhooks.setup)
+-- Refused                  the simulator answers a request with an error (simulator.messages)

Those with a module behind them are declared there, the others here.
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

    @property
    def log_text(self) -> str:
        """Its text for the log: all of it is ours, nothing is quoted from another program."""
        return str(self)


class QueryError(ReceiverError):
    """A query cannot be answered."""


class TokenError(ReceiverError):
    """There is no OAuth token of the Databricks workspace now; says why and what to do."""


class DeploymentError(ReceiverError):
    """A step failed; says which, and what to do. What was done stays, and may be done again."""


class ValueRefused(Exception):  # noqa: N818  # a verdict on rows, caught by the bisection
    """The engine will never take some value of these rows.

    Attributes:
        error: Name of the error's type; its text may show the row and is not kept.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
