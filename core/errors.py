"""Errors of the Customer.io clients.

CustomerIOError
+-- ConfigurationError           a key, region or address cannot be used (also a ValueError)
|   +-- WebhookConfigError       a file does not describe reporting webhooks (webhooks.config)
+-- ValidationError              an argument cannot be sent; names the field (also a ValueError)
|   +-- SizeError                it is over the vendor's limit
+-- ClientClosedError            the client was closed before this call
+-- QueueError                   an item of the background queue was not sent
|   +-- QueueFullError           no room, by the policy that was chosen
|   +-- QueueClosedError         closed before the item could be sent
+-- WaitTimeoutError             work at Customer.io took longer than its timeout
+-- JobFailedError               an export or import failed at Customer.io
+-- NoAnswer                     nothing came back from a signed post (webhooks.sender)
+-- ChangedMeanwhileError        the workspace is not what a plan was made for (webhooks.apply)
+-- PartlyAppliedError           a write of a plan did not succeed (webhooks.apply)
+-- CallError                    a call was tried and did not succeed
    +-- ThrottledError           our own rate limit would make it wait too long; not sent (again)
    +-- ConnectionFailedError    no answer: refused, reset, timed out
    +-- ResponseError            accepted, but the answer cannot be read
    +-- ApiError                 the answer is a failure; one class a status:
        +-- RedirectError        3xx that is not followed
        +-- BadRequestError      400
        +-- AuthenticationError  401
        +-- ForbiddenError       403
        +-- NotFoundError        404
        +-- ConflictError        409
        +-- ContentTooLargeError 413
        +-- UnprocessableError   422
        +-- RateLimitError       429
        +-- ServerError          5xx

Those with a module behind them are declared there, the others here.

The text of an error holds no key, no request body and no e-mail address. The vendor's own words
are attributes of `ApiError`; they may hold personal data. Every error can be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.http.responses import Json
from core.redaction import redacted

if TYPE_CHECKING:
    pass


class CustomerIOError(Exception):
    """Anything these clients raise on purpose; its text says what to do next.

    Attributes:
        unconfirmed: After a call that sends many items: those not known to be accepted, in order,
            with the message ids under which they may be sent again. They may hold personal data.
    """

    unconfirmed: tuple[Json, ...] = ()


class ConfigurationError(CustomerIOError, ValueError):
    """A key, region or address cannot be used."""


class ValidationError(CustomerIOError, ValueError):
    """An argument cannot be sent, and nothing was.

    Attributes:
        field: Which one, as the caller spelled it: `user_id`, `items[3].traits.age`. May hold
            personal data if keys of the caller's dictionaries do.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{redacted(field)}: {message}" if field else message)
        self.field = field


class SizeError(ValidationError):
    """An item is over the vendor's limit; it would be dropped.

    Attributes:
        size_bytes: Length of its encoded form.
        limit_bytes: What the vendor takes.
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
    """The queue has no room; send slower, or give it more capacity."""


class QueueClosedError(QueueError):
    """The queue was closed before the item could be sent."""


class WaitTimeoutError(CustomerIOError):
    """Work at Customer.io took longer than its timeout, and goes on there."""


class JobFailedError(CustomerIOError):
    """An export or import failed at Customer.io."""


class CallError(CustomerIOError):
    """A call was tried and did not succeed.

    Attributes:
        operation: Which call, by the name the vendor's specification gives it.
        attempts: How often it was sent.
        is_outcome_unknown: Whether the vendor may have done it all the same.
        retry_after_seconds: When to try again, where that is known.
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
    """Our own rate limit would make the call wait too long; it was not sent (again)."""


class ConnectionFailedError(CallError):
    """No answer came: the connection was refused, reset, or timed out.

    Attributes:
        reason: The kind of failure, such as `ReadTimeout`.
        is_outcome_unknown: False only if no connection was ever established.
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
    """The call was accepted, but its answer cannot be read. Do not repeat it blindly."""


class ApiError(CallError):
    """The answer is a failure.

    Attributes:
        status: The status code.
        vendor_message: The vendor's words; may hold personal data. None if it sent none.
        body: The whole answer as text, at most 65,536 characters; may hold personal data.
        request_id: What the vendor's support asks for.
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

    advice = "The redirect is not followed: the key stays on *.customer.io. Check the address."


class BadRequestError(ApiError):
    """400: the vendor cannot read the call, or refuses its content (strict mode)."""

    advice = "Correct the content; the same call will fail again."


class AuthenticationError(ApiError):
    """401: the key is wrong, or belongs to another API, workspace or region."""

    advice = "Check the key: its API (App or Pipelines), its workspace and its region."


class ForbiddenError(ApiError):
    """403: the key may not do this, or the channel is not enabled."""

    advice = "The key or the workspace does not allow this call."


class NotFoundError(ApiError):
    """404: no such thing; a wrong `id_type` looks the same."""

    advice = "Check the id, its type, and the region."


class ConflictError(ApiError):
    """409: the thing is in a state that does not allow the call."""

    advice = "Read the current state and decide again."


class ContentTooLargeError(ApiError):
    """413: the content is over the vendor's limit."""

    advice = "Send less in one call."


class UnprocessableError(ApiError):
    """422: well formed, but not possible."""

    advice = "Correct the content; the same call will fail again."


class RateLimitError(ApiError):
    """429: over the rate limit; certainly not processed."""

    advice = "Send slower; try again after retry_after_seconds."


class ServerError(ApiError):
    """5xx: Customer.io failed; whether the call was done is unknown."""

    advice = "Customer.io failed. Try again later, if doing it twice does no harm."
    is_outcome_unknown = True
