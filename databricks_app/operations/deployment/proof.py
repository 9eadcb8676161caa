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
from databricks_app.operations.deployment.releasing import note, put_note
from databricks_app.operations.deployment.running import Note, PlannedChange, Step
from databricks_app.operations.deployment.site import Site
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


def step(site: Site, settings: Settings, *, waits: bool = False) -> Step:
    """One event from the receiver to the inbox, or to the table.

    Args:
        site: Where.
        settings: What the app was deployed with.
        waits: Whether its row is waited for.
    """
    needs = (
        f"CAN USE on the app {site.target.app}, READ on the secret scope {site.target.scope}, "
        f"READ VOLUME on {site.target.volume_name}, SELECT on webhook_raw_events"
    )
    return Step("proof", needs, partial(_look, site, settings, waits=waits))


def _look(site: Site, settings: Settings, *, waits: bool) -> list[PlannedChange]:
    app = site.app()
    deployment = app.active_deployment.deployment_id if app and app.active_deployment else None
    words = "send one signed event and find it in the " + ("table" if waits else "inbox")
    if not (deployment and app and app.url):
        return [PlannedChange(words, partial(_send_to_new, site))]
    proof = _Proof(
        deployment,
        canary(deployment, time.time(), kind="deploy"),
        app.url.rstrip("/") + WEBHOOK_PATH,
        max(site.seconds, freshness.stall_seconds(settings)) if waits else 0.0,
        settings,
    )
    if waits:
        is_proven = _is_row(site, proof.event)
    else:
        is_proven = note(site, _NOTE) == {"deployment_id": deployment}
    if is_proven:
        return []
    return [PlannedChange(words, partial(_send, site, proof))]


def _send_to_new(site: Site) -> None:
    raise DeploymentError(f"the app {site.target.app} has no address or no active deployment")


def _is_row(site: Site, event: Canary) -> bool:
    return int(site.sql(_COUNT, id=event.event_id)[0][0]) > 0


def _send(site: Site, proof: _Proof) -> Note | None:
    key = _key(site)
    answers: list[str] = []
    try:
        site.until("the app to take an event", lambda: _is_taken(site, proof, key, answers))
    except DeploymentError as error:
        last = f" (its last answer: {answers[-1]})" if answers else ""
        raise DeploymentError(
            f"{error}{last}. See the app's log and /readyz; 401 or a redirect means that the "
            "platform refuses your token: log in by OAuth, a personal access token will not do"
        ) from error
    if proof.seconds:
        by = freshness.expected_by(proof.settings, time.time())
        site.say(f"waiting for the row, expected by {by}")
    try:
        place = see_in_volume(
            site,
            proof.settings,
            proof.event,
            lambda: _is_row(site, proof.event),
            seconds=proof.seconds,
            look_seconds=site.poll_seconds,
        )
    except EndpointError as error:
        raise DeploymentError(f"{proof.url}: {error}") from error
    put_note(site, _NOTE, {"deployment_id": proof.deployment})
    return Note(place)


def _is_taken(site: Site, proof: _Proof, key: SigningKey, answers: list[str]) -> bool | None:
    token = site.client.config.authenticate()
    try:
        post_as(token, proof.url, key, proof.event, time.time())
    except EndpointError as error:
        answers.append(str(error))
        return None
    return True


def _key(site: Site) -> SigningKey:
    """The first of the keys that the app has."""
    value = site.client.secrets.get_secret(site.target.scope, plan.KEYS_RESOURCE).value or ""
    try:
        return SigningKey.from_text(base64.b64decode(value).decode().split(",")[0])
    except ValueError:
        raise DeploymentError(
            f"the secret {plan.KEYS_RESOURCE} of the scope {site.target.scope} holds no key: run "
            "again with --rotate-keys"
        ) from None
