"""Apply a plan for reporting webhooks: check the workspace again, write, report what was written.

`core.webhooks.config` makes the plan. The App API has no transactions, so the changes are written
one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from core.errors import CallError, CustomerIOError, ResponseError
from core.webhooks.config import Live, Plan, WebhookChange, WebhookSettings, live

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.app_api.reporting_webhooks import ReportingWebhooks
    from core.app_api.types.reporting_webhooks import ReportingWebhookFields


@dataclass(frozen=True, slots=True)
class Done:
    """A change that Customer.io accepted; `id` is the id of the webhook."""

    change: WebhookChange
    id: int


class ChangedMeanwhileError(CustomerIOError):
    """The workspace changed after the plan was made. Nothing was written.

    Attributes:
        names: The names of the webhooks that somebody else changed.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        listed = ", ".join(map(repr, self.names))
        super().__init__(
            f"changed by somebody else since the plan was made: {listed}. Nothing was written."
            " Make a new plan."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.names,)


class PartlyAppliedError(CustomerIOError):
    """One write failed. The writes before it succeeded, the writes after it were not tried.

    Attributes:
        done: The changes that Customer.io accepted.
        failed: The change that failed.
        left: The changes that were not tried.
        is_outcome_unknown: Whether the failed change may have been made in spite of the error.
    """

    def __init__(
        self,
        done: Sequence[Done],
        failed: WebhookChange,
        left: Sequence[WebhookChange],
        error: CallError,
    ) -> None:
        self.done, self.failed, self.left = tuple(done), failed, tuple(left)
        # A ResponseError means that the write was accepted, but its answer cannot be read.
        self.is_outcome_unknown = error.is_outcome_unknown or isinstance(error, ResponseError)
        self._error = error
        outcome = "may have been done" if self.is_outcome_unknown else "was not done"
        succeeded = "; ".join(_described(write.change) for write in self.done) or "nothing"
        not_tried = "; ".join(map(_described, self.left)) or "nothing"
        super().__init__(
            f"{_described(failed)} {outcome}: {error} Done before: {succeeded}."
            f" Not tried: {not_tried}. Make a new plan to see the remaining changes."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.done, self.failed, self.left, self._error)


def held(webhooks: ReportingWebhooks, known_events: Sequence[str]) -> tuple[Live, ...]:
    """Read the reporting webhooks of a workspace.

    Raises:
        CallError: The call failed; the subclass says how.
        WebhookConfigError: The answer is not as the API documents it.
    """
    return live(webhooks.list().get("reporting_webhooks") or (), known_events)


def apply(
    webhooks: ReportingWebhooks, planned: Plan, known_events: Sequence[str]
) -> tuple[Done, ...]:
    """Write the changes of a plan, if the workspace has not changed since the plan was made.

    Args:
        webhooks: The noun of a client of the workspace.
        planned: The plan.
        known_events: As for `config.live`.

    Returns:
        The changes that were written, in order.

    Raises:
        ChangedMeanwhileError: Somebody else changed a webhook of the plan. Nothing was written.
        PartlyAppliedError: A write failed. The error says what was written and what was not.
        CallError: The workspace cannot be read. Nothing was written.
    """
    # Deletions last: if a write fails, no webhook has been lost.
    due = sorted(planned.due, key=lambda change: change.action == "delete")
    current = held(webhooks, known_events) if due else ()
    names = {webhook.webhook.name for webhook in current}
    changed = [
        change.name
        for change in due
        if (change.name in names if change.before is None else change.before not in current)
    ]
    if changed:
        raise ChangedMeanwhileError(changed)
    done: list[Done] = []
    for number, change in enumerate(due, start=1):
        try:
            done.append(Done(change, _write(webhooks, change)))
        except CallError as error:
            raise PartlyAppliedError(done, change, due[number:], error) from error
    return tuple(done)


def body(webhook: WebhookSettings) -> ReportingWebhookFields:
    """Return the body to create or update a webhook.

    It always has all fields, because an update replaces the webhook.
    """
    return {
        "name": webhook.name,
        "endpoint": webhook.endpoint,
        "events": list(webhook.events),
        "full_resolution": webhook.full_resolution,
        "with_content": webhook.with_content,
        "disabled": not webhook.enabled,
    }


def _write(webhooks: ReportingWebhooks, change: WebhookChange) -> int:
    before, after = change.before, change.after
    if before is not None and after is not None:
        webhooks.update(before.id, body(after))
        return before.id
    if before is not None:
        webhooks.delete(before.id)
        return before.id
    id_ = webhooks.create(body(cast("WebhookSettings", after))).get("id")
    if not isinstance(id_, int):
        raise ResponseError("createWebhook: the answer has no id.", operation="createWebhook")
    return id_


def _described(change: WebhookChange) -> str:
    id_text = f" (id {change.before.id})" if change.before is not None else ""
    return f"{change.action} {change.name!r}{id_text}"
