"""The last step: one signed event goes through the deployed app and is found where it was stored.

The event is of no kind that Customer.io sends, so that it is a row of the raw table alone. Its id
is the deployment's: a deployment that was proven once is not asked again.

Found in the inbox is proof enough: a look into the volume wakes no warehouse, and the row comes
with the next load, up to an interval later.
"""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from functools import partial

import httpx2

from core.webhooks.signature import SigningKey, sign
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.ingest.inbox.tracking import Place, track
from databricks_app.operations.deployment import plan
from databricks_app.operations.deployment.errors import DeploymentError
from databricks_app.operations.deployment.releasing import note, put_note
from databricks_app.operations.deployment.running import Change, Note, Step
from databricks_app.operations.deployment.site import Site
from databricks_app.runtime import freshness
from databricks_app.settings import Settings

_NOTE = "proven.json"

_COUNT = "SELECT count(*) FROM webhook_raw_events WHERE event_id = :id"
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Proof:
    """What is proven of which deployment.

    Attributes:
        deployment: Its id.
        url: Where the event is posted to.
        seconds: How long its row is waited for; 0 if the inbox is enough.
        settings: What the app was deployed with.
    """

    deployment: str
    url: str
    seconds: float
    settings: Settings

    @property
    def event_id(self) -> str:
        """Of the event that is sent."""
        return f"ciolake-deploy-{self.deployment}"

    @property
    def expected_by(self) -> str:
        """When the row of an event that is stored now is expected."""
        return freshness.expected_by(self.settings, time.time())


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


def _look(site: Site, settings: Settings, *, waits: bool) -> list[Change]:
    app = site.app()
    deployment = app.active_deployment.deployment_id if app and app.active_deployment else None
    words = "send one signed event and find it in the " + ("table" if waits else "inbox")
    if not (deployment and app and app.url):
        return [Change(words, partial(_send_to_new, site))]
    proof = _Proof(
        deployment,
        app.url.rstrip("/") + WEBHOOK_PATH,
        max(site.seconds, freshness.stall_seconds(settings)) if waits else 0.0,
        settings,
    )
    if waits:
        is_proven = _is_row(site, proof.event_id)
    else:
        is_proven = note(site, _NOTE) == {"deployment_id": deployment}
    if is_proven:
        return []
    return [Change(words, partial(_send, site, proof))]


def _send_to_new(site: Site) -> None:
    raise DeploymentError(f"the app {site.target.app} has no address or no active deployment")


def _is_row(site: Site, event_id: str) -> bool:
    return int(site.sql(_COUNT, id=event_id)[0][0]) > 0


def _send(site: Site, proof: _Proof) -> Note | None:
    said = {"event_id": proof.event_id, "object_type": "ciolake_deploy", "metric": "checked"}
    body = json.dumps(said | {"timestamp": int(time.time())}).encode()
    key = _key(site)
    answers: list[str] = []
    try:
        site.until(
            "the app to take an event", lambda: _is_taken(site, proof.url, body, key, answers)
        )
    except DeploymentError as error:
        last = f" (its last answer: {answers[-1]})" if answers else ""
        raise DeploymentError(
            f"{error}{last}. See the app's log and /readyz; 401 or a redirect means that the "
            "platform refuses your token: log in by OAuth, a personal access token will not do"
        ) from error
    if proof.seconds:
        site.say(f"waiting for the row, expected by {proof.expected_by}")
    place = track(
        site,
        site.target.volume_path,
        body,
        lambda: _is_row(site, proof.event_id),
        seconds=proof.seconds,
        look_seconds=site.poll_seconds,
    )
    return _judged(site, proof, place)


def _judged(site: Site, proof: _Proof, place: Place | None) -> Note | None:
    """What follows from where the event is; it is noted for the next run.

    Raises:
        DeploymentError: It is nowhere, or was not loaded in time.
    """
    if place is None:
        raise DeploymentError(
            "the app answered 200, but the event is neither in the inbox "
            f"{site.target.volume_path} nor in webhook_raw_events: does the app that answers at "
            f"{proof.url} use this catalog, schema and volume?"
        )
    put_note(site, _NOTE, {"deployment_id": proof.deployment})
    if place == "row":
        return None
    if proof.seconds:
        raise DeploymentError(
            f"the event waits in the inbox and was not loaded within {proof.seconds:.0f} s: see "
            "the app's log and /readyz"
        )
    return Note(f"it is in the inbox; its row is expected by {proof.expected_by}")


def _is_taken(
    site: Site, url: str, body: bytes, key: SigningKey, answers: list[str]
) -> bool | None:
    stamp = int(time.time())
    headers = site.client.config.authenticate() | {
        "Content-Type": "application/json",
        "X-CIO-Timestamp": str(stamp),
        "X-CIO-Signature": sign(key, stamp, body),
    }
    try:
        answer = httpx2.post(url, content=body, headers=headers, timeout=_ANSWER_SECONDS)
    except httpx2.HTTPError as error:
        answers.append(type(error).__name__)
        return None
    answers.append(f"HTTP {answer.status_code}")
    return True if answer.status_code == httpx2.codes.OK and not answer.content else None


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
