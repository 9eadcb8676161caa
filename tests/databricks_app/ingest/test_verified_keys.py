"""A wrong signature is answered 401 only while every workspace's key is known to be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from core.webhooks.signature import TEST_HEADER, SigningKey
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.runtime.status import RUN_DIR
from tests.support.still_time import FixedClock

BODY = b'{"event_id":"e1"}'
OURS = {TEST_HEADER: "1"}
WRONG = SigningKey.from_text("another_signing_key")
SHOP, BLOG = SigningKey.from_text("shop-key-1"), SigningKey.from_text("blog-key-1")

Sign = Callable[..., dict[str, str]]
Open = Callable[..., FlaskClient]


def post(client: FlaskClient, headers: dict[str, str]) -> int:
    """Post the body; return the status."""
    return client.post(WEBHOOK_PATH, data=BODY, headers=headers).status_code


def test_a_fresh_receiver_answers_503_to_a_wrong_signature(client: FlaskClient, sign: Sign) -> None:
    """No request has proved its key."""
    assert post(client, sign(BODY, key=WRONG)) == 503


def test_a_verified_request_proves_the_key_for_ten_minutes(
    client: FlaskClient, sign: Sign, now: FixedClock
) -> None:
    """Then a wrong signature is 401, and 503 again when the proof is old."""
    assert post(client, sign(BODY)) == 200

    now.at += 599
    assert post(client, sign(BODY, key=WRONG)) == 401
    now.at += 1
    assert post(client, sign(BODY, key=WRONG)) == 503


def test_a_request_of_ours_proves_nothing(client: FlaskClient, sign: Sign) -> None:
    """Set-up signs with the key that was pasted, right or wrong."""
    assert post(client, sign(BODY) | OURS) == 200

    assert post(client, sign(BODY, key=WRONG)) == 503


def test_a_wrong_signature_of_ours_is_401(client: FlaskClient, sign: Sign) -> None:
    """Customer.io does not send the mark, so no feed waits; the doctor asks this way."""
    assert post(client, sign(BODY, key=WRONG) | OURS) == 401


def test_a_wrong_signature_outside_the_window_is_401(client: FlaskClient, sign: Sign) -> None:
    """Strangers repeat old requests."""
    assert post(client, sign(BODY, key=WRONG, at=1_600_000_000)) == 401


@pytest.mark.parametrize(
    "headers", [{}, {"X-CIO-Signature": "0" * 64}, {"X-CIO-Signature": "x", "X-CIO-Timestamp": "1"}]
)
def test_missing_and_malformed_headers_are_401(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    """No key of Customer.io makes such a request, so the key may be right."""
    assert post(client, headers) == 401


def test_every_workspace_must_have_verified_a_request(opened: Open, sign: Sign) -> None:
    """The one that has not may be the one with the wrong key."""
    names = {SHOP.fingerprint: "shop", BLOG.fingerprint: "blog"}
    client = opened(signing_keys=(SHOP, BLOG), workspaces=names)

    assert post(client, sign(BODY, key=SHOP)) == 200
    assert post(client, sign(BODY, key=WRONG)) == 503
    assert post(client, sign(BODY, key=BLOG)) == 200
    assert post(client, sign(BODY, key=WRONG)) == 401


def test_one_key_of_a_workspace_is_enough(opened: Open, sign: Sign) -> None:
    """During a rotation one of two keys is not in use; keys without a name are of `default`."""
    client = opened(signing_keys=(SHOP, BLOG))

    assert post(client, sign(BODY, key=SHOP)) == 200
    assert post(client, sign(BODY, key=WRONG)) == 401


@pytest.mark.parametrize("status", [401, 503])
def test_the_setting_can_fix_the_status(opened: Open, sign: Sign, status: int) -> None:
    """Before and after a verified request."""
    client = opened(unverified_status=status)

    assert post(client, sign(BODY, key=WRONG)) == status
    assert post(client, sign(BODY)) == 200
    assert post(client, sign(BODY, key=WRONG)) == status


def test_web_processes_share_what_they_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opened: Open, sign: Sign
) -> None:
    """A request that one of them verified counts for the other; a new run folder knows nothing."""
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    first, second = opened(), opened()

    assert post(first, sign(BODY)) == 200
    assert post(second, sign(BODY, key=WRONG)) == 401

    (tmp_path / "later").mkdir()
    monkeypatch.setenv(RUN_DIR, str(tmp_path / "later"))
    assert post(opened(), sign(BODY, key=WRONG)) == 503


def problems(client: FlaskClient) -> str:
    """The problems that `/readyz` names."""
    page = client.get("/readyz", headers={"Authorization": "Bearer right_token"}).json or {}
    return " ".join(page["problems"])


def test_readyz_reports_the_first_refusal_while_a_key_is_not_proven(
    opened: Open, sign: Sign, now: FixedClock
) -> None:
    """Until every workspace has verified a request, or nothing came for two hours and a half."""
    names = {SHOP.fingerprint: "shop", BLOG.fingerprint: "blog"}

    def refused() -> FlaskClient:
        client = opened(signing_keys=(SHOP, BLOG), workspaces=names)
        assert post(client, sign(BODY, key=SHOP)) == 200
        assert post(client, sign(BODY, key=WRONG)) == 503
        return client

    assert "workspace blog has" in problems(refused())

    healed = refused()
    assert post(healed, sign(BODY, key=BLOG)) == 200
    assert "wrong signature" not in problems(healed)

    forgotten = refused()
    now.at += 9000
    assert "wrong signature" not in problems(forgotten)


def test_a_wrong_signature_of_ours_is_not_reported(client: FlaskClient, sign: Sign) -> None:
    """The doctor sends one on purpose."""
    assert post(client, sign(BODY, key=WRONG) | OURS) == 401

    assert "wrong signature" not in problems(client)


def test_a_clock_that_was_set_back_proves_nothing(
    client: FlaskClient, sign: Sign, now: FixedClock
) -> None:
    """A time in the future is no proof."""
    assert post(client, sign(BODY)) == 200
    now.at -= 3600

    assert post(client, sign(BODY, key=WRONG)) == 503
