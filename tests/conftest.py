"""What the receiver's tests share: real parts, joined in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from flask.testing import FlaskClient

from core.webhooks.signature import SigningKey
from core.webhooks.signature import sign as signature_of
from databricks_app.app import create_app
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.settings import Settings, from_environment
from tests.support.still_time import FixedClock

pytest_plugins = ["tests.no_skips", "tests.no_process_left", "tests.fast_part"]

# A machine that is busy with other things must not fail a property.
hypothesis.settings.register_profile(
    "ciolake", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ciolake")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a loopback receiver with one key, an admin token, and data under `tmp_path`."""
    return from_environment(
        {
            "CIO_WEBHOOK_SIGNING_KEYS": "test_signing_key",
            "CIO_ADMIN_TOKEN": "right_token",
            "CIO_DATA_DIR": str(tmp_path / "data"),
        }
    )


@pytest.fixture
def now() -> FixedClock:
    """A clock that stands at 2023-11-14 22:13:20 UTC (1,700,000,000) until its `at` is set."""
    return FixedClock(1_700_000_000.0)


@pytest.fixture
def inbox(settings: Settings) -> Iterator[LocalInbox]:
    """A real inbox in the folder of `settings`, closed at the end."""
    inbox = LocalInbox(settings.inbox_dir, max_bytes=64 << 20)
    yield inbox
    inbox.close()


@pytest.fixture
def client(settings: Settings, inbox: LocalInbox, now: FixedClock) -> FlaskClient:
    """A client of the real app over `settings`, `inbox` and `now`."""
    return create_app(settings, inbox=inbox, now=now).test_client()


@pytest.fixture
def sign(settings: Settings, now: FixedClock) -> Callable[..., dict[str, str]]:
    """Make the two headers of a request with this body: `sign(body, at=None, key=None)`."""

    def headers(
        body: bytes, at: int | None = None, key: SigningKey | None = None
    ) -> dict[str, str]:
        timestamp = int(now()) if at is None else at
        key = key or (settings.signing_keys or ())[0]
        return {
            "X-CIO-Timestamp": str(timestamp),
            "X-CIO-Signature": signature_of(key, timestamp, body),
        }

    return headers
