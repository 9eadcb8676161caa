"""A stale request with a right signature is refused once; the same body again is accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from core.webhooks.signature import TEST_HEADER
from databricks_app.app import create_app
from databricks_app.endpoint import WEBHOOK_PATH
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.runtime.status import RUN_DIR
from databricks_app.setting_table import StalePolicy
from databricks_app.settings import Settings
from tests.support.still_time import FixedClock

DAY = 86400
BODY, OTHER = b'{"event_id":"e1"}', b'{"event_id":"e2"}'

Sign = Callable[..., dict[str, str]]
Open = Callable[..., FlaskClient]
Post = Callable[..., int]


@pytest.fixture
def opened(settings: Settings, inbox: LocalInbox, now: FixedClock) -> Open:
    """Open a receiver."""

    def make(policy: StalePolicy = "second_sight") -> FlaskClient:
        made = replace(settings, stale_timestamps=policy, max_body_bytes=1 << 20)
        return create_app(made, inbox=inbox, now=now).test_client()

    return make


@pytest.fixture
def post(sign: Sign, now: FixedClock) -> Post:
    """Post a body that was signed some seconds ago; return the status."""

    def send(client: FlaskClient, body: bytes, *, age: float, **headers: str) -> int:
        signed = sign(body, at=int(now.at - age)) | headers
        return client.post(WEBHOOK_PATH, data=body, headers=signed).status_code

    return send


@pytest.mark.parametrize("age", [301, -301, 3 * DAY])
def test_the_same_body_a_second_time_is_accepted(opened: Open, post: Post, age: int) -> None:
    """From then on every stale request is accepted at first sight."""
    client = opened()

    assert post(client, BODY, age=age) == 401
    assert post(client, OTHER, age=age) == 401
    assert post(client, BODY, age=age + 3600) == 200
    assert post(client, b"{}", age=age) == 200


def test_a_sender_is_not_trusted_a_day_after_its_last_stale_request(
    opened: Open, post: Post, now: FixedClock
) -> None:
    """Each accepted one begins a new day."""
    client = opened()
    assert [post(client, BODY, age=400) for _ in range(2)] == [401, 200]

    now.at += DAY - 1
    assert post(client, b"1", age=400) == 200
    now.at += DAY - 1
    assert post(client, b"2", age=400) == 200
    now.at += DAY
    assert post(client, b"3", age=400) == 401


@pytest.mark.parametrize("age", [8 * DAY + 1, -8 * DAY - 1])
def test_a_request_of_eight_days_is_never_accepted(opened: Open, post: Post, age: int) -> None:
    """Customer.io repeats for seven days: whoever sends it later is somebody else."""
    client = opened()
    assert [post(client, BODY, age=age) for _ in range(3)] == [401] * 3

    assert [post(client, OTHER, age=8 * DAY) for _ in range(2)] == [401, 200]
    assert post(client, BODY, age=age) == 401


@pytest.mark.parametrize(("policy", "status"), [("reject", 401), ("accept", 200)])
def test_the_other_policies_stay(
    opened: Open, post: Post, policy: StalePolicy, status: int
) -> None:
    """The same answer each time."""
    client = opened(policy)

    assert [post(client, BODY, age=20 * DAY) for _ in range(3)] == [status] * 3


def test_requests_of_ours_prove_no_repeating_sender(opened: Open, post: Post) -> None:
    """Somebody may send an old sample twice."""
    client = opened()
    mark = {TEST_HEADER: "1"}

    assert [post(client, BODY, age=400, **mark) for _ in range(3)] == [401] * 3
    assert [post(client, BODY, age=400) for _ in range(2)] == [401, 200]


def test_a_wrong_signature_is_not_remembered(opened: Open, post: Post) -> None:
    """A stranger cannot make the receiver accept anything, nor fill its memory."""
    client = opened()
    wrong = {"X-CIO-Signature": "0" * 64}

    assert [post(client, BODY, age=400, **wrong) for _ in range(3)] == [401] * 3
    assert post(client, BODY, age=400) == 401


def test_two_large_bodies_with_the_same_beginning_are_two(opened: Open, post: Post) -> None:
    """Of a body over the limit the whole digest counts, not the part that is kept."""
    client = opened()
    one, two = (bytes(2 << 20) + end for end in (b"1", b"2"))

    assert [post(client, body, age=400) for body in (one, two, one)] == [401, 401, 200]


def test_web_processes_share_the_bodies_and_the_proof(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opened: Open, post: Post
) -> None:
    """The next try may reach another process; a new run folder knows nothing."""
    monkeypatch.setenv(RUN_DIR, str(tmp_path))
    first, second, third = opened(), opened(), opened()

    assert post(first, BODY, age=400) == 401
    assert post(second, BODY, age=400) == 200
    assert post(third, OTHER, age=400) == 200

    monkeypatch.delenv(RUN_DIR)
    assert post(opened(), OTHER, age=400) == 401
