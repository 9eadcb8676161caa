"""The relay's settings: read, refused and documented."""

from __future__ import annotations

import re

from databricks_app import setting_table
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
    """A host without a scheme means https, as in Databricks' own variables."""
    found = from_environment(GIVEN)

    assert [key.secret for key in found.signing_keys] == [b"one", b"two"]
    assert found.workspace_url == "https://workspace.example.com"
    assert (found.tolerance_seconds, found.stale_timestamps) == (300, "second_sight")
    assert (found.deadline_seconds, found.most_requests) == (3.5, 32)


def test_an_address_is_reduced_to_its_origin() -> None:
    """Users copy it from a browser or from Customer.io's page."""
    origins = {
        "https://app.example.com/": "https://app.example.com",
        "https://app.example.com:8443": "https://app.example.com:8443",
        "https://app.example.com/api/webhooks/customerio": "https://app.example.com",
        "https://app.example.com//API/webhooks%2Fcustomerio/": "https://app.example.com",
        "http://127.0.0.1:8000": "http://127.0.0.1:8000",
        "http://[::1]:8000": "http://[::1]:8000",
    }

    assert {
        text: from_environment(GIVEN | {"CIO_RELAY_APP_URL": text}).app_url for text in origins
    } == origins


UNUSABLE_ADDRESSES = (
    "",
    "http://app.example.com",
    "ftp://app.example.com",
    "https://user:word@app.example.com",
    "https://app.example.com/elsewhere",
    "https://app.example.com/?a=b",
    "https://app.example.com:port",
    "https://[::1",
)
UNUSABLE = [
    *(("CIO_RELAY_APP_URL", address) for address in UNUSABLE_ADDRESSES),
    *(("DATABRICKS_HOST", address) for address in UNUSABLE_ADDRESSES),
    ("DATABRICKS_CLIENT_ID", " "),
    ("DATABRICKS_CLIENT_SECRET", ""),
    ("DATABRICKS_CLIENT_SECRET", "a\nb"),
    ("CIO_RELAY_SIGNATURE", "query"),
    ("CIO_RELAY_DEADLINE_SECONDS", "3.9"),
    ("CIO_RELAY_DEADLINE_SECONDS", "soon"),
    ("CIO_RELAY_MAX_REQUESTS", "0"),
    ("CIO_TIMESTAMP_TOLERANCE_SECONDS", "0"),
]


def error_of(variables: dict[str, str]) -> str:
    """Return the text of the error; empty if the settings can be used."""
    try:
        from_environment(variables)
    except SettingsError as error:
        return str(error)
    return ""


def test_an_unusable_value_is_named_and_not_quoted() -> None:
    """The error has the setting's name, and not the value, which may be a secret."""
    wrong = {}
    for name, value in UNUSABLE:
        text = error_of(GIVEN | {name: value})
        is_quoted = len(value) >= 2 and value in text
        if not text.startswith(f"{name} cannot be used: ") or is_quoted:
            wrong[name, value] = text

    assert wrong == {}


def test_settings_without_a_default_must_be_set() -> None:
    """The deployment fails, not the requests."""
    required = set(GIVEN) - {"CIO_WEBHOOK_SIGNING_KEYS"}

    errors = {
        name: error_of({key: value for key, value in GIVEN.items() if key != name})
        for name in required
    }

    assert [name for name, text in errors.items() if name not in text] == []


def test_the_repr_contains_no_secret() -> None:
    """No keys and no client secret."""
    text = repr(from_environment(GIVEN))

    assert "a-secret" not in text
    assert "one" not in text.replace("None", "")


def test_shared_settings_are_the_receivers_own() -> None:
    """The rows are those of the receiver's table."""
    own = {"CIO_RELAY_", "DATABRICKS_"}
    shared = [row for row in RELAY_SETTINGS if not row.name.startswith(tuple(own))]

    assert len(shared) == 6
    assert all(row in setting_table.SETTINGS for row in shared)


def test_the_documentation_has_the_table_of_settings() -> None:
    """The same names, defaults and meanings in the same order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| Relay setting | Default | Meaning |")
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, default, meaning = (cell.strip() for cell in re.split(r"\|", line.strip("|")))
        rows.append((name.strip("`"), default.strip("`"), meaning))

    assert rows == [(row.name, row.default, row.meaning) for row in RELAY_SETTINGS]
