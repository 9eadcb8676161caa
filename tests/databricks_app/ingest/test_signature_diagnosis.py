"""The receiver says why signatures fail, and spends little on it."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs

from core.webhooks.diagnosis import SignatureFault
from core.webhooks.signature import TEST_HEADER, SigningKey
from core.webhooks.signature import sign as signature_of
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.ingest.signature_faults import WORDS
from tests.support.still_time import FixedClock

BODY = b'{"event_id":"e1","data":{"recipient":"ada@example.com"}}'
KEY = "test_signing_key"
TIMESTAMP = "1700000000"
ADMIN = {"Authorization": "Bearer right_token"}
SHOP, BLOG = SigningKey.from_text("shop-key-1"), SigningKey.from_text("blog-key-1")
STRANGE = SigningKey.from_text("another_signing_key")

Open = Callable[..., FlaskClient]


def signed(body: bytes = BODY, key: str = KEY) -> str:
    """The signature of a body, with a key exactly as it is written."""
    return signature_of(SigningKey(key.encode(), ""), TIMESTAMP, body)


FAULTS = {
    SignatureFault.BODY_ONLY: hmac.new(KEY.encode(), BODY, "sha256").hexdigest(),
    SignatureFault.REENCODED_BODY: signed(BODY + b"\n"),
    SignatureFault.QUOTED_KEY: signed(key=f'"{KEY}"'),
    SignatureFault.ENCODED_KEY: signed(key=base64.b64encode(KEY.encode()).decode()),
    SignatureFault.BASE64_SIGNATURE: base64.b64encode(bytes.fromhex(signed())).decode(),
    SignatureFault.UNKNOWN: signed(key="another_signing_key"),
}


def post(
    client: FlaskClient, signature: str, body: bytes = BODY, timestamp: str = TIMESTAMP
) -> int:
    """Post a body; return the status."""
    headers = {"X-CIO-Timestamp": timestamp, "X-CIO-Signature": signature}
    return client.post(WEBHOOK_PATH, data=body, headers=headers).status_code


def counted(client: FlaskClient) -> dict[str, float]:
    """The refusals by fault, as /metrics shows them."""
    page = client.get("/metrics", headers=ADMIN).text
    lines = [one for one in page.splitlines() if one.startswith("ciolake_signature_faults_total{")]
    return {one.split('"')[1]: float(one.rsplit(" ", 1)[1]) for one in lines}


def ready(client: FlaskClient) -> tuple[list[str], str]:
    """The faults in /readyz, and all its problems."""
    page = client.get("/readyz", headers=ADMIN).get_json()
    return page["signature_faults"], "\n".join(page["problems"])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_counted_logged_and_shown(client: FlaskClient, fault: SignatureFault) -> None:
    """With the fix, and with nothing of the request."""
    with capture_logs() as lines:
        assert post(client, FAULTS[fault]) in (401, 503)

    faults, problems = ready(client)
    (line,) = [one for one in lines if one["event"] == "request_refused"]
    assert counted(client) == {fault.value: 1}
    assert (line["fault"], line["advice"]) == (fault.value, WORDS[fault].fix)
    assert faults == [fault.value]
    assert fault is SignatureFault.UNKNOWN or WORDS[fault].fix in problems
    assert not any(secret in f"{lines} {problems}" for secret in ("ada@", KEY, FAULTS[fault]))


def test_a_refused_stale_request_is_counted(client: FlaskClient) -> None:
    """Its signature is right."""
    signature = signature_of(SigningKey.from_text(KEY), "1699990000", BODY)

    assert post(client, signature, timestamp="1699990000") == 401
    assert counted(client) == {"stale": 1}


def test_the_key_of_one_workspace_is_probably_that_of_another(opened: Open) -> None:
    """If other workspaces verify requests and one never does."""
    names = {SHOP.fingerprint: "shop", BLOG.fingerprint: "blog"}
    client = opened(signing_keys=(SHOP, BLOG), workspaces=names)
    assert post(client, signature_of(SHOP, TIMESTAMP, BODY)) == 200

    assert post(client, signature_of(STRANGE, TIMESTAMP, BODY)) == 503

    faults, problems = ready(client)
    assert counted(client) == {"other_key": 1}
    assert faults == ["other_key"]
    assert "probably is signed with the key of another workspace" in problems


def test_only_a_proof_is_shown_once_every_key_has_verified(client: FlaskClient) -> None:
    """Strangers can send a base64 signature, but not one that fits the body alone."""
    post(client, FAULTS[SignatureFault.BASE64_SIGNATURE])
    post(client, FAULTS[SignatureFault.BODY_ONLY])

    assert post(client, signed()) == 200

    assert ready(client)[0] == ["body_only"]


def test_a_proof_is_shown_for_two_hours_and_a_half(client: FlaskClient, now: FixedClock) -> None:
    """Then it is old."""
    post(client, FAULTS[SignatureFault.BODY_ONLY])
    now.at += 9000

    assert ready(client)[0] == []


def test_one_request_a_second_is_examined(client: FlaskClient, now: FixedClock) -> None:
    """Many requests cost no more; after a second the next one is examined."""
    for _ in range(3):
        post(client, FAULTS[SignatureFault.BODY_ONLY])
    now.at += 1
    post(client, FAULTS[SignatureFault.QUOTED_KEY])

    assert counted(client) == {"body_only": 1, "not_examined": 2, "quoted_key": 1}


@pytest.mark.parametrize(
    ("length", "keys", "limit", "fault"),
    [
        (64 << 10, 1, 1 << 20, "unknown"),
        ((64 << 10) + 1, 1, 1 << 20, "not_examined"),
        (64 << 10, 5, 1 << 20, "not_examined"),
        (1000, 1, 999, "not_examined"),
    ],
)
def test_only_small_and_whole_bodies_are_examined(
    opened: Open, length: int, keys: int, limit: int, fault: str
) -> None:
    """The bytes of all keys together count; of a longer body only the beginning is kept."""
    active = tuple(SigningKey.from_text(f"key-{number}") for number in range(keys))
    client = opened(signing_keys=active, max_body_bytes=limit)

    post(client, signed(), bytes(length))

    assert counted(client) == {fault: 1}


def test_requests_of_ours_are_not_examined(client: FlaskClient) -> None:
    """The doctor sends a wrong signature on purpose."""
    for signature in FAULTS.values():
        headers = {"X-CIO-Timestamp": TIMESTAMP, "X-CIO-Signature": signature, TEST_HEADER: "1"}
        client.post(WEBHOOK_PATH, data=BODY, headers=headers)

    assert counted(client) == {}
    assert ready(client)[0] == []


def test_every_fault_has_words() -> None:
    """One that has none would be an exception when it first comes."""
    assert list(WORDS) == list(SignatureFault)
