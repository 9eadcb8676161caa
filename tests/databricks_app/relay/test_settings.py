"""The relay's settings: read, refused and written down for people."""

from __future__ import annotations

import re

import pytest

from databricks_app import settings
from databricks_app.errors import SettingsError
from databricks_app.relay.settings import RELAY_SETTINGS, from_environment
from tests.support.paths import DOCS

PAGE = DOCS / "deployment.md"
GIVEN = {
    "CIO_WEBHOOK_SIGNING_KEYS": "one,two",
    "CIO_RELAY_APP_URL": "https://app-1.example.com",
    "DATABRICKS_HOST": "workspace.example.com",
    "DATABRICKS_CLIENT_ID": "an-id",
    "DATABRICKS_CLIENT_SECRET": "a-secret",
}


def test_settings_are_read_from_the_environment() -> None:
    """A host without scheme means https, as Databricks itself writes it."""
    found = from_environment(GIVEN)

    assert [key.secret for key in found.signing_keys] == [b"one", b"two"]
    assert found.workspace_url == "https://workspace.example.com"
    assert (found.tolerance_seconds, found.stale_timestamps) == (300, "reject")
    assert (found.deadline_seconds, found.most_requests) == (3.5, 32)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example.com/", "https://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("https://app.example.com/api/webhooks/customerio", "https://app.example.com"),
        ("https://app.example.com//API/webhooks%2Fcustomerio/", "https://app.example.com"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_an_address_is_reduced_to_its_origin(text: str, origin: str) -> None:
    """As it is copied from a browser or from Customer.io's page."""
    assert from_environment(GIVEN | {"CIO_RELAY_APP_URL": text}).app_url == origin


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("CIO_RELAY_APP_URL", "DATABRICKS_HOST")
            for value in (
                "",
                "http://app.example.com",
                "ftp://app.example.com",
                "https://user:word@app.example.com",
                "https://app.example.com/elsewhere",
                "https://app.example.com/?a=b",
                "https://app.example.com:port",
                "https://[::1",
            )
        ),
        ("DATABRICKS_CLIENT_ID", " "),
        ("DATABRICKS_CLIENT_SECRET", ""),
        ("DATABRICKS_CLIENT_SECRET", "a\nb"),
        ("CIO_RELAY_SIGNATURE", "query"),
        ("CIO_RELAY_DEADLINE_SECONDS", "3.9"),
        ("CIO_RELAY_DEADLINE_SECONDS", "soon"),
        ("CIO_RELAY_MAX_REQUESTS", "0"),
        ("CIO_TIMESTAMP_TOLERANCE_SECONDS", "0"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_quoted(name: str, value: str) -> None:
    """A token must not go over plain http, and a secret not into an error."""
    with pytest.raises(SettingsError, match=f"^{name} cannot be used: ") as error:
        from_environment(GIVEN | {name: value})

    assert len(value) < 2 or value not in str(error.value)


@pytest.mark.parametrize("name", sorted(set(GIVEN) - {"CIO_WEBHOOK_SIGNING_KEYS"}))
def test_what_only_the_operator_knows_must_be_set(name: str) -> None:
    """A deployment fails rather than the feed."""
    with pytest.raises(SettingsError, match=name):
        from_environment({key: value for key, value in GIVEN.items() if key != name})


def test_secrets_are_in_no_repr() -> None:
    """Neither keys nor the client's secret."""
    said = repr(from_environment(GIVEN))

    assert "a-secret" not in said
    assert "one" not in said.replace("None", "")


def test_what_the_receiver_has_too_means_the_same() -> None:
    """Rows of the receiver's table are its own."""
    own = {"CIO_RELAY_", "DATABRICKS_"}
    shared = [row for row in RELAY_SETTINGS if not row.name.startswith(tuple(own))]

    assert len(shared) == 6
    assert all(row in settings.SETTINGS for row in shared)


def test_the_page_is_the_table_of_settings() -> None:
    """The same names, defaults and meanings, in the same order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| Relay setting | Default | Meaning |")
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, default, meaning = (cell.strip() for cell in re.split(r"\|", line.strip("|")))
        rows.append((name.strip("`"), default.strip("`"), meaning))

    assert rows == [(row.name, row.default, row.meaning) for row in RELAY_SETTINGS]
