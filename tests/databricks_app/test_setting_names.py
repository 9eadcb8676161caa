"""Names that look like a setting and are none."""

from __future__ import annotations

import re

import pytest
import structlog

from databricks_app.app import INBOX, create_app
from databricks_app.relay.app import create_relay
from databricks_app.relay.settings import RELAY_SETTINGS
from databricks_app.runtime.unknown_settings import log_unused_settings
from databricks_app.setting_names import NAMES, unknown_names
from databricks_app.settings import from_environment
from tests.support.paths import ROOT

# Of the tests against a real workspace, and half of a name that a text continues.
_NO_SETTINGS = re.compile(r"CIO_LIVE_.*|CIO_RELAY")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "CIO_WEBHOOK_SIGNING_KEY",
            "CIO_WEBHOOK_SIGNING_KEY is not a setting: did you mean CIO_WEBHOOK_SIGNING_KEYS?",
        ),
        ("CIO_DATADIR", "CIO_DATADIR is not a setting: did you mean CIO_DATA_DIR?"),
        (
            "CIO_RELAY_APP_URI",
            "CIO_RELAY_APP_URI is not a setting: did you mean CIO_RELAY_APP_URL?",
        ),
        ("cio_store", "cio_store is not a setting: did you mean CIO_STORE?"),
        ("\ufeffCIO_STORE", "'\\ufeffCIO_STORE' is not a setting: did you mean CIO_STORE?"),
        ("CIO_XYZZY", "CIO_XYZZY is not a setting"),
    ],
)
def test_unknown_names_suggest_the_setting_that_is_meant(name: str, text: str) -> None:
    """The most similar one, if any is similar."""
    assert [str(one) for one in unknown_names({name: "1", "CIO_STORE": "local"})] == [text]


def test_unknown_names_leave_other_variables_alone() -> None:
    """What is set by a shell, a platform or another program, and what we read ourselves."""
    others = ("PATH", "HOST", "PORT", "STORE", "DATABRICKS_HOST", "DATABRICKS_WAREHOUSE_ID")

    assert unknown_names((*others, *NAMES)) == ()


def test_every_name_in_the_code_is_known() -> None:
    """A name that the code or a document uses is in the table."""
    found = set()
    for folder in ("databricks_app", "core", "docs", "examples"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".md", ".yml", ".yaml", ".sh", ".conf", ".service"}:
                found |= set(re.findall(r"\bCIO_[A-Z_]*[A-Z]\b", path.read_text("utf-8")))

    assert {one for one in found - NAMES if not _NO_SETTINGS.fullmatch(one)} == set()
    assert {one.name for one in RELAY_SETTINGS if one.name.startswith("CIO_")} <= NAMES


def test_a_setting_of_an_earlier_version_is_accepted_and_logged() -> None:
    """It does nothing; a receiver that is upgraded starts."""
    variables = {"CIO_UPLOADS": "4", "CIO_STORE": "local"}

    with structlog.testing.capture_logs() as lines:
        log_unused_settings(from_environment(variables), variables)

    assert [(line["event"], line["name"]) for line in lines] == [("unused_setting", "CIO_UPLOADS")]


def test_receiver_and_relay_log_an_unknown_name_at_start(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name and what is meant; the value is not shown."""
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("CIO_ALERT_URI", "https://s3cret.example.com")
    monkeypatch.setenv("CIO_WEBHOOK_SIGNING_KEYS", "a-signing-key")
    monkeypatch.setenv("CIO_RELAY_APP_URL", "https://app.example.com")
    for name in ("HOST", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"DATABRICKS_{name}", "workspace.example.com")
    monkeypatch.setattr("databricks_app.relay.app.logs.configure", lambda *_: None)

    with structlog.testing.capture_logs() as lines:
        create_app().extensions[INBOX].close()
        create_relay().close()

    said = [line for line in lines if line["event"] == "unknown_setting"]
    assert [line["name"] for line in said] == ["CIO_ALERT_URI", "CIO_ALERT_URI"]
    assert "CIO_ALERT_URL" in said[0]["advice"]
    assert "s3cret" not in str(said)


@pytest.mark.parametrize(("store", "times"), [("databricks", 1), ("local", 0)])
def test_a_flush_interval_on_databricks_is_logged_as_unused(store: str, times: int) -> None:
    """The line names the setting that decides there."""
    variables = {
        "CIO_STORE": store,
        "CIO_CATALOG": "main",
        "CIO_FLUSH_INTERVAL_SECONDS": "10",
    }

    with structlog.testing.capture_logs() as lines:
        log_unused_settings(from_environment(variables), variables)

    assert [line["event"] for line in lines] == ["unused_setting"] * times
    assert all("CIO_FRESHNESS_SECONDS" in line["advice"] for line in lines)
