"""Make a plan for reporting webhooks so: look again, write, and say exactly what was done.

`core.webhooks.config` decides what to do. The App API knows no transaction, so a plan is applied
change by change; deletions come last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from core.errors import CallError, CustomerIOError, ResponseError
from core.webhooks.config import Live, Plan, WebhookChange, WebhookSettings, live

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.app_api.reporting_webhooks import ReportingWebhooks
    from core.app_api.types.reporting_webhooks import ReportingWebhookFields


@dataclass(frozen=True, slots=True)
class Done:
    """A change that Customer.io has accepted; `id` is the webhook's."""

    change: WebhookChange
    id: int


class ChangedMeanwhileError(CustomerIOError):
    """The workspace is not what the plan was made for; nothing was written.

    Attributes:
        names: Of the webhooks that somebody else changed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        listed = ", ".join(map(repr, self.names))
        super().__init__(
            f"changed by somebody else since the plan was made: {listed}. Nothing was written;"
            " plan again."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.names,)


class PartlyAppliedError(CustomerIOError):
    """A write did not succeed; those before it did, those behind it were not tried.

    Attributes:
        done: What Customer.io has accepted.
        failed: The change whose write failed.
        left: What was not tried.
        is_outcome_unknown: Whether the failed one may have been done all the same.
    """

    def __init__(
        self,
        done: Sequence[Done],
        failed: WebhookChange,
        left: Sequence[WebhookChange],
        error: CallError,
    ) -> None:
        self.done, self.failed, self.left = tuple(done), failed, tuple(left)
        self.is_outcome_unknown = error.is_outcome_unknown or isinstance(error, ResponseError)
        self._error = error
        super().__init__(" ".join((*self._parts(), "Plan again to see what is left.")))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.done, self.failed, self.left, self._error)

    def _parts(self) -> Iterator[str]:
        told = "may or may not be done" if self.is_outcome_unknown else "was not done"
        yield f"{_words(self.failed)} {told}: {self._error}"
        yield f"Done before: {'; '.join(_words(one.change) for one in self.done) or 'nothing'}."
        yield f"Not tried: {'; '.join(map(_words, self.left)) or 'nothing'}."


def held(webhooks: ReportingWebhooks, known_events: Sequence[str]) -> tuple[Live, ...]:
    """Read the reporting webhooks of a workspace.

    Raises:
        CallError: One of its kinds.
        WebhookConfigError: The answer is not what the API documents.
    """
    return live(webhooks.list().get("reporting_webhooks") or (), known_events)


def apply(
    webhooks: ReportingWebhooks, planned: Plan, known_events: Sequence[str]
) -> tuple[Done, ...]:
    """Write the changes of a plan, if the workspace is still what it was made for.

    Args:
        webhooks: Of the workspace.
        planned: What to do.
        known_events: As for `webhook_config.live`.

    Returns:
        What was written, in that order.

    Raises:
        ChangedMeanwhileError: Somebody else changed a webhook of the plan. Nothing was written.
        PartlyAppliedError: A write failed; says what was done and what was not.
        CallError: The workspace cannot be read. Nothing was written.
    """
    due = sorted(planned.due, key=lambda change: change.action == "delete")
    now = held(webhooks, known_events) if due else ()
    moved = [change.name for change in due if not _is_still(change, now)]
    if moved:
        raise ChangedMeanwhileError(moved)
    done: list[Done] = []
    for number, change in enumerate(due, start=1):
        try:
            done.append(Done(change, _write(webhooks, change)))
        except CallError as error:
            raise PartlyAppliedError(done, change, due[number:], error) from error
    return tuple(done)


def body(webhook: WebhookSettings) -> ReportingWebhookFields:
    """The body of a create or update: always whole, as an update replaces."""
    return {
        "name": webhook.name,
        "endpoint": webhook.endpoint,
        "events": list(webhook.events),
        "full_resolution": webhook.full_resolution,
        "with_content": webhook.with_content,
        "disabled": not webhook.enabled,
    }


def _is_still(change: WebhookChange, now: Sequence[Live]) -> bool:
    if change.before is None:
        return all(one.webhook.name != change.name for one in now)
    return change.before in now


def _write(webhooks: ReportingWebhooks, change: WebhookChange) -> int:
    before, after = change.before, change.after
    if before is not None and after is not None:
        webhooks.update(before.id, body(after))
        return before.id
    if before is not None:
        webhooks.delete(before.id)
        return before.id
    made = webhooks.create(body(cast("WebhookSettings", after))).get("id")
    if not isinstance(made, int):
        raise ResponseError("createWebhook: the answer holds no id.", operation="createWebhook")
    return made


def _words(change: WebhookChange) -> str:
    number = f" (id {change.before.id})" if change.before is not None else ""
    return f"{change.action} {change.name!r}{number}"
