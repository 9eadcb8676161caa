"""A receiver with other settings than the usual ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from databricks_app.app import create_app
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.settings import Settings
from tests.support.still_time import FixedClock


@pytest.fixture
def opened(settings: Settings, inbox: LocalInbox, now: FixedClock) -> Callable[..., FlaskClient]:
    """Open a receiver with changed settings: `opened(signing_keys=(SHOP, BLOG))`."""

    def make(**changed: object) -> FlaskClient:
        made = replace(settings, **changed)  # type: ignore[arg-type]
        return create_app(made, inbox=inbox, now=now).test_client()

    return make
