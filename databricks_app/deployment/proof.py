"""The last step: one signed event goes through the deployed app and is found in the table.

The event is of no kind that Customer.io sends, so that it is a row of the raw table alone. Its id
is the deployment's: a deployment that was proven once is not asked again.
"""

from __future__ import annotations

import base64
import json
import time
from functools import partial

import httpx2

from databricks_app.deployment import plan
from databricks_app.deployment.errors import DeploymentError
from databricks_app.deployment.running import Change, Step
from databricks_app.deployment.site import Site
from databricks_app.signature import SigningKey, sign

PATH = "/api/webhooks/customerio"
_COUNT = "SELECT count(*) FROM webhook_raw_events WHERE event_id = :id"
_ANSWER_SECONDS = 30.0


def step(site: Site) -> Step:
    """One event from the door to the table."""
    needs = (
        f"CAN USE on the app {site.target.app}, READ on the secret scope {site.target.scope}, "
        "SELECT on webhook_raw_events"
    )
    return Step("proof", needs, partial(_proof, site))


def _proof(site: Site) -> list[Change]:
    app = site.app()
    deployment = app.active_deployment.deployment_id if app and app.active_deployment else None
    if deployment and app and app.url:
        event_id = f"ciolake-deploy-{deployment}"
        if _is_there(site, event_id):
            return []
        send = partial(_send, site, app.url.rstrip("/") + PATH, event_id)
    else:
        send = partial(_send_to_new, site)
    return [Change("send one signed event and find it in webhook_raw_events", send)]


def _send_to_new(site: Site) -> None:
    raise DeploymentError(f"the app {site.target.app} has no address or no active deployment")


def _is_there(site: Site, event_id: str) -> bool:
    return int(site.sql(_COUNT, id=event_id)[0][0]) > 0


def _send(site: Site, url: str, event_id: str) -> None:
    said = {"event_id": event_id, "object_type": "ciolake_deploy", "metric": "checked"}
    body = json.dumps(said | {"timestamp": int(time.time())}).encode()
    key = _key(site)
    answers: list[str] = []
    try:
        site.until("the app to take an event", lambda: _is_taken(site, url, body, key, answers))
        site.until("the event in the table", lambda: _is_there(site, event_id) or None)
    except DeploymentError as error:
        last = f" (its last answer: {answers[-1]})" if answers else ""
        raise DeploymentError(
            f"{error}{last}. See the app's log and /readyz; 401 or a redirect means that the "
            "platform refuses your token: log in by OAuth, a personal access token will not do"
        ) from error


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
