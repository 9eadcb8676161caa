"""Errors of the receiver.

ReceiverError
+-- SettingsError            a setting cannot be used; the text says which one and why
|   +-- NoAppApiKey          no App API key is set (operations.workspaces.app_api)
+-- InboxError               the inbox cannot store now
|   +-- InboxFull            the inbox has reached its size limit, or the disk is full
|   +-- InboxTimeout         the record was not durable within the deadline
|   +-- InboxClosed          the process is stopping
+-- LakeError                tables cannot be written or read; the text says what to do
|   +-- Standby              another instance loads (lake)
|   |   +-- KeptLease        and does not give the lease back after a drain (lake)
|   +-- Unclear              the warehouse gave an unknown error (databricks.sql_sessions)
|   +-- WorkspaceError       a call to the workspace failed (databricks.workspace)
+-- QueryError               a query cannot be answered; the text says why
+-- TokenError               there is no OAuth token now; the text says why
+-- DeploymentError          a deployment cannot continue; the text says what to do
+-- AddressError             a text is not an address (operations.webhooks.addresses)
+-- CaptureError             a captured request cannot be read (operations.webhooks.capture)
+-- EndpointError            an endpoint does not take an event (operations.webhooks.canary)
+-- KeyStoreError            keys cannot be kept or read (operations.webhooks.keys)
+-- RotationError            a key cannot be replaced now (operations.webhooks.rotation)
+-- SetupError               a webhook cannot be set up (operations.webhooks.setup)
+-- VendorEventError         no event of Customer.io proves a key (operations.webhooks.vendor_event)
+-- Refused                  the simulator answers a request with an error (simulator.messages)

A module in brackets defines its error itself. All other errors are defined here.
"""

from __future__ import annotations


class ReceiverError(Exception):
    """Base of all errors of this package; the text says what to do next."""


class SettingsError(ReceiverError):
    """A setting cannot be used."""


class InboxError(ReceiverError):
    """The inbox cannot store now; the answer to the sender is 503."""


class InboxFull(InboxError):  # noqa: N818  # a state of the inbox, as queue.Full
    """The inbox has reached its size limit, or the disk is full."""


class InboxTimeout(InboxError):  # noqa: N818  # as TimeoutError's siblings
    """The record was not durable within the deadline."""


class InboxClosed(InboxError):  # noqa: N818  # a state of the inbox
    """The process is stopping and accepts no more records."""


class LakeError(ReceiverError):
    """The tables cannot be written or read."""

    @property
    def log_text(self) -> str:
        """Text for the log. It quotes no other program."""
        return str(self)


class QueryError(ReceiverError):
    """A query cannot be answered."""


class TokenError(ReceiverError):
    """There is no OAuth token of the Databricks workspace now; the text says why."""


class DeploymentError(ReceiverError):
    """A step of a deployment failed. Finished steps stay and can safely be repeated."""


class ValueRefused(Exception):  # noqa: N818  # the bisection catches it to find the row
    """The engine refuses a value of these rows, and would refuse it again.

    Attributes:
        error: Name of the error's type. The text is not kept: it may show the row.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
