"""The last step: one signed event goes through the deployed app and is found where it was stored.

The event is a canary (`operations.webhooks.canary`), a row of the raw table alone. Its id is the
deployment's: a deployment that was proven once is not asked again.

Found in the inbox is proof enough: a look into the volume wakes no warehouse, and the row comes
with the next load, up to an interval later.
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
from databricks_app.operations.webhooks.arrival import see_in_volume
from databricks_app.operations.webhooks.canary import Canary, EndpointError, canary, post_as
from databricks_app.runtime import freshness
from databricks_app.settings import Settings

_NOTE = "proven.json"

_COUNT = "SELECT count(*) FROM webhook_raw_events WHERE event_id = :id"


@dataclass(frozen=True, slots=True)
class _Proof:
    """What is proven of which deployment.

    Attributes:
        deployment: Its id.
        event: What is sent; the same one for a deployment.
        url: Where the event is posted to.
        seconds: How long its row is waited for; 0 if the inbox is enough.
        settings: What the app was deployed with.
    """

    deployment: str
    event: Canary
    url: str
    seconds: float
    settings: Settings


def step(workspace: TargetWorkspace, settings: Settings, *, waits: bool = False) -> Step:
    """One event from the receiver to the inbox, or to the table.

    Args:
        workspace: Where.
        settings: What the app was deployed with.
        waits: Whether its row is waited for.
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
        return [PlannedChange(words, partial(_send_to_new, workspace))]
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


def _send_to_new(workspace: TargetWorkspace) -> None:
    raise DeploymentError(f"the app {workspace.target.app} has no address or no active deployment")


def _is_row(workspace: TargetWorkspace, event: Canary) -> bool:
    return int(workspace.sql(_COUNT, id=event.event_id)[0][0]) > 0


def _send(workspace: TargetWorkspace, proof: _Proof) -> Note | None:
    key = _key(workspace)
    answers: list[str] = []
    try:
        workspace.until(
            "the app to take an event", lambda: _is_taken(workspace, proof, key, answers)
        )
    except DeploymentError as error:
        last = f" (its last answer: {answers[-1]})" if answers else ""
        raise DeploymentError(
            f"{error}{last}. See the app's log and /readyz; 401 or a redirect means that the "
            "platform refuses your token: log in by OAuth, a personal access token will not do"
        ) from error
    if proof.seconds:
        by = freshness.expected_by(proof.settings, time.time())
        workspace.on_progress(f"waiting for the row, expected by {by}")
    try:
        place = see_in_volume(
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


def _is_taken(
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
    """The first of the keys that the app has."""
    value = (
        workspace.client.secrets.get_secret(workspace.target.scope, plan.KEYS_RESOURCE).value or ""
    )
    try:
        return SigningKey.from_text(base64.b64decode(value).decode().split(",")[0])
    except ValueError:
        raise DeploymentError(
            f"the secret {plan.KEYS_RESOURCE} of the scope {workspace.target.scope} holds no key: "
            "run again with --rotate-keys"
        ) from None
