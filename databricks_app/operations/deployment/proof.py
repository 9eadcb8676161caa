"""The last step, `proof`: sends a signed event to the deployed app and finds where it was stored.

The event is a canary (`operations.webhooks.canary`). Its id contains the id of the deployment, so
that each deployment is proven once.

By default the event only has to be in the inbox. Listing the volume starts no warehouse, and the
row follows with the next load.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from functools import partial

from core.webhooks.signature import SigningKey
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.errors import DeploymentError
from databricks_app.operations.deployment import plan
from databricks_app.operations.deployment.release import note, put_note
from databricks_app.operations.deployment.runner import Note, PlannedChange, Step
from databricks_app.operations.deployment.target_workspace import TargetWorkspace
from databricks_app.operations.webhooks.arrival import see_in_inbox
from databricks_app.operations.webhooks.canary import Canary, EndpointError, canary, post_as
from databricks_app.runtime import freshness
from databricks_app.settings import Settings

_NOTE = "proven.json"

_COUNT = "SELECT count(*) FROM webhook_raw_events WHERE event_id = :id"


@dataclass(frozen=True, slots=True)
class _Proof:
    """What the proof of one deployment needs.

    Attributes:
        deployment: Id of the deployment.
        event: The event to send; always the same for one deployment.
        url: Where to post the event.
        seconds: How long to wait for its row; 0 if the inbox is enough.
        settings: The settings of the app.
    """

    deployment: str
    event: Canary
    url: str
    seconds: float
    settings: Settings


def step(workspace: TargetWorkspace, settings: Settings, *, waits: bool = False) -> Step:
    """Return the step that sends one event and finds it in the inbox or in the table.

    Args:
        workspace: The target workspace.
        settings: The settings of the app.
        waits: Whether to wait for the row.
    """
    needs = (
        f"CAN USE on the app {workspace.target.app}, READ on the secret scope "
        f"{workspace.target.scope}, READ VOLUME on "
        f"{workspace.target.volume_name}, SELECT on webhook_raw_events"
    )
    return Step("proof", needs, partial(_look, workspace, settings, waits=waits))


def _look(workspace: TargetWorkspace, settings: Settings, *, waits: bool) -> list[PlannedChange]:
    app = workspace.app()
    deployment = app.active_deployment.deployment_id if app and app.active_deployment else None
    words = "send one signed event and find it in the " + ("table" if waits else "inbox")
    if not (deployment and app and app.url):
        # With --dry-run there may be no app yet, so this is an error only when it is done.
        def refuse() -> None:
            raise DeploymentError(
                f"the app {workspace.target.app} has no address or no active deployment"
            )

        return [PlannedChange(words, refuse)]
    proof = _Proof(
        deployment,
        canary(deployment, time.time(), kind="deploy"),
        app.url.rstrip("/") + WEBHOOK_PATH,
        max(workspace.seconds, freshness.stall_seconds(settings)) if waits else 0.0,
        settings,
    )
    if waits:
        is_proven = _is_row(workspace, proof.event)
    else:
        is_proven = note(workspace, _NOTE) == {"deployment_id": deployment}
    if is_proven:
        return []
    return [PlannedChange(words, partial(_send, workspace, proof))]


def _is_row(workspace: TargetWorkspace, event: Canary) -> bool:
    return int(workspace.sql(_COUNT, id=event.event_id)[0][0]) > 0


def _send(workspace: TargetWorkspace, proof: _Proof) -> Note | None:
    key = _key(workspace)
    answers: list[str] = []
    try:
        workspace.until(
            "the app to accept an event", lambda: _is_accepted(workspace, proof, key, answers)
        )
    except DeploymentError as error:
        last = f" (its last answer: {answers[-1]})" if answers else ""
        raise DeploymentError(
            f"{error}{last}. See the app's log and /readyz. 401 or a redirect means that the "
            "platform refuses your token: log in with OAuth, not with a personal access token"
        ) from error
    if proof.seconds:
        by = freshness.expected_by(proof.settings, time.time())
        workspace.on_progress(f"waiting for the row, expected by {by}")
    try:
        place = see_in_inbox(
            workspace,
            proof.settings,
            proof.event,
            lambda: _is_row(workspace, proof.event),
            seconds=proof.seconds,
            look_seconds=workspace.poll_seconds,
        )
    except EndpointError as error:
        raise DeploymentError(f"{proof.url}: {error}") from error
    put_note(workspace, _NOTE, {"deployment_id": proof.deployment})
    return Note(place)


def _is_accepted(
    workspace: TargetWorkspace, proof: _Proof, key: SigningKey, answers: list[str]
) -> bool | None:
    token = workspace.client.config.authenticate()
    try:
        post_as(token, proof.url, key, proof.event, time.time())
    except EndpointError as error:
        answers.append(str(error))
        return None
    return True


def _key(workspace: TargetWorkspace) -> SigningKey:
    """Return the first signing key of the app."""
    value = (
        workspace.client.secrets.get_secret(workspace.target.scope, plan.KEYS_RESOURCE).value or ""
    )
    try:
        return SigningKey.from_text(base64.b64decode(value).decode().split(",")[0])
    except ValueError:
        raise DeploymentError(
            f"the secret {plan.KEYS_RESOURCE} in the scope {workspace.target.scope} has no signing "
            "key: run this again with --rotate-keys"
        ) from None
