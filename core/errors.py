"""Errors of the Customer.io clients.

CustomerIOError
+-- ConfigurationError           a key, region or URL cannot be used (also a ValueError)
|   +-- WebhookConfigError       a file does not describe reporting webhooks (webhooks.config)
+-- ValidationError              an argument cannot be sent; names the field (also a ValueError)
|   +-- SizeError                an item is larger than the vendor's limit
+-- ClientClosedError            the client was closed before this call
+-- QueueError                   an item of the background queue was not sent
|   +-- QueueFullError           the queue has no room (see `when_full`)
|   +-- QueueClosedError         closed before the item could be sent
+-- WaitTimeoutError             a job at Customer.io took longer than the timeout
+-- JobFailedError               an export or import failed at Customer.io
+-- NoAnswer                     a signed POST got no answer (webhooks.sender)
+-- ChangedMeanwhileError        the workspace changed after the plan was made (webhooks.apply)
+-- PartlyAppliedError           one write of a plan failed (webhooks.apply)
+-- CallError                    a call failed
    +-- ThrottledError           the rate limit of this client would make the call wait too long
    +-- ConnectionFailedError    no answer: connection refused, reset or timed out
    +-- ResponseError            the call was accepted, but its answer cannot be read
    +-- ApiError                 the answer is a failure; one class for each status:
        +-- RedirectError        a 3xx that is not followed
        +-- BadRequestError      400
        +-- AuthenticationError  401
        +-- ForbiddenError       403
        +-- NotFoundError        404
        +-- ConflictError        409
        +-- ContentTooLargeError 413
        +-- UnprocessableError   422
        +-- RateLimitError       429
        +-- ServerError          5xx, except
        +-- NotSupportedError    501

An error with a module in brackets is declared in that module, the others are declared here.

The text of an error contains no key, no request body and no e-mail address. The vendor's message
is an attribute of `ApiError` and may contain personal data. Every error can be pickled.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from core.http.responses import Json
from core.redaction import redacted


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """An item that the vendor rejected; its `repr` shows no personal data.

    Attributes:
        item: The item with its message id.
        vendor_message: Why; None if the vendor sent no message.
    """

    item: Json = field(repr=False)
    vendor_message: str | None = field(repr=False)


class CustomerIOError(Exception):
    """The base of all errors of these clients. The text says what to do next.

    Attributes:
        unconfirmed: After a call with many items: the items that were not accepted or may not have
            been, in order. Send them again with the same message ids, except those that are also
            in `rejected`. They may contain personal data.
        rejected: Those of `unconfirmed` that the vendor rejected. Correct them first.
    """

    unconfirmed: tuple[Json, ...] = ()
    rejected: tuple[RejectedItem, ...] = ()


class ConfigurationError(CustomerIOError, ValueError):
    """A key, a region or a URL cannot be used."""


class ValidationError(CustomerIOError, ValueError):
    """An argument cannot be sent. Nothing was sent.

    Attributes:
        field: The argument, as the caller spelled it: `user_id`, `items[3].traits.age`. It
            contains personal data if keys of the caller's dictionaries do.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{redacted(field)}: {message}" if field else message)
        self.field = field


class SizeError(ValidationError):
    """An item is larger than the vendor's limit. The vendor would drop it.

    Attributes:
        size_bytes: Length of the encoded item.
        limit_bytes: The vendor's limit.
    """

    def __init__(
        self, message: str, *, field: str = "", size_bytes: int = 0, limit_bytes: int = 0
    ) -> None:
        super().__init__(message, field=field)
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class ClientClosedError(CustomerIOError):
    """The client was closed before this call."""


class QueueError(CustomerIOError):
    """An item of the background queue was not sent."""


class QueueFullError(QueueError):
    """The queue is full. Send slower, or give the queue more capacity."""


class QueueClosedError(QueueError):
    """The queue was closed before the item could be sent."""


class WaitTimeoutError(CustomerIOError):
    """A job at Customer.io took longer than the timeout. Customer.io continues it."""


class JobFailedError(CustomerIOError):
    """An export or import failed at Customer.io."""


class CallError(CustomerIOError):
    """A call failed.

    Attributes:
        operation: The name of the call in the vendor's specification.
        attempts: How often the call was sent.
        is_outcome_unknown: Whether the vendor may have executed the call in spite of the error.
        retry_after_seconds: When to try again; None if unknown.
    """

    is_outcome_unknown = False

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        attempts: int = 0,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.attempts = attempts
        self.retry_after_seconds = retry_after_seconds


class ThrottledError(CallError):
    """The rate limit of this client would make the call wait too long.

    The call was not sent, or not sent again: `attempts` says which.
    """


class ConnectionFailedError(CallError):
    """No answer arrived: the connection was refused, was reset or timed out.

    Attributes:
        reason: The kind of failure, such as `ReadTimeout`.
        is_outcome_unknown: False only if no attempt established a connection.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        attempts: int = 0,
        reason: str = "",
        is_outcome_unknown: bool = True,
    ) -> None:
        super().__init__(message, operation=operation, attempts=attempts)
        self.reason = reason
        self.is_outcome_unknown = is_outcome_unknown


class ResponseError(CallError):
    """The call was accepted, but its answer cannot be read.

    Do not repeat the call before you have checked what it did.
    """


class ApiError(CallError):
    """The answer is a failure.

    Attributes:
        status: The HTTP status code.
        vendor_message: The vendor's error message, None if it sent none. It may contain personal
            data.
        body: The answer as text, at most 65,536 characters. It may contain personal data.
        request_id: The id that the vendor's support asks for.
    """

    advice = "Customer.io refused the call."

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        attempts: int = 0,
        retry_after_seconds: float | None = None,
        status: int = 0,
        vendor_message: str | None = None,
        body: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            message,
            operation=operation,
            attempts=attempts,
            retry_after_seconds=retry_after_seconds,
        )
        self.status = status
        self.vendor_message = vendor_message
        self.body = body
        self.request_id = request_id


class RedirectError(ApiError):
    """A redirect that is not followed: it leaves customer.io, or changes the method."""

    advice = (
        "The redirect was not followed, because the key is sent to *.customer.io only."
        " Check the URL."
    )


class BadRequestError(ApiError):
    """400: the vendor cannot read the call, or rejects its content (strict mode)."""

    advice = "Correct the content; the same call will fail again."


class AuthenticationError(ApiError):
    """401: the key is wrong, or belongs to another API, workspace or region."""

    advice = "Check the key: its API (App or Pipelines), its workspace and its region."


class ForbiddenError(ApiError):
    """403: the key may not do this, or the channel is not enabled."""

    advice = "The key or the workspace does not allow this call."


class NotFoundError(ApiError):
    """404: the id does not exist. A wrong `id_type` gives the same status."""

    advice = "Check the id, its type, and the region."


class ConflictError(ApiError):
    """409: the current state of the resource does not allow the call."""

    advice = "Read the current state and decide again."


class ContentTooLargeError(ApiError):
    """413: the content is larger than the vendor's limit."""

    advice = "Send less in one call."


class UnprocessableError(ApiError):
    """422: the call is well formed, but cannot be executed."""

    advice = "Correct the content; the same call will fail again."


class RateLimitError(ApiError):
    """429: over the rate limit. The vendor did not process the call."""

    advice = "Send slower; try again after retry_after_seconds."


class NotSupportedError(ApiError):
    """501: the server does not have this operation. It was not executed."""

    advice = "The server does not have this operation; the same call will fail again."


class ServerError(ApiError):
    """5xx: Customer.io failed. It is unknown whether it executed the call."""

    advice = "Customer.io failed. Try again later if executing the call twice does no harm."
    is_outcome_unknown = True
