"""Settings: their sources, and errors that name the variable but never show its value."""

from __future__ import annotations

import contextlib
import traceback
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from databricks_app.cli.serve import with_admin_token, with_keys
from databricks_app.errors import SettingsError
from databricks_app.runtime.env_file import make_admin_token, make_development_key
from databricks_app.setting_table import SETTINGS
from databricks_app.settings import Settings, environment, from_environment

BAD_VALUES = [
    ("CIO_WORKSPACES", ["shop", "Shop:0a1b2c3d", "shop:0a1b2c3", "a:0a1b2c3d,b:0a1b2c3d"]),
    ("CIO_APP_API_KEYS", ["key", "shop:", "Shop:key", "shop:a key", "a:k,a:l"]),
    ("CIO_REGION", ["", "EU", "asia"]),
    ("CIO_REGIONS", ["eu", "shop:asia", "a:eu,a:us"]),
    ("CIO_TIMESTAMP_TOLERANCE_SECONDS", ["", "0", "-1", "3e2", "2592001", "five", "9" * 5000]),
    ("CIO_STALE_TIMESTAMPS", ["", "Reject", "yes"]),
    ("CIO_UNVERIFIED_STATUS", ["", "200", "404", "401 ", "Auto"]),
    ("CIO_SIGNATURE_IN_QUERY", ["", "yes", "ON"]),
    ("CIO_STORE", ["", "Local", "s3"]),
    ("CIO_INBOX", ["", "Volume", "disk"]),
    ("CIO_DATA_DIR", ["", "  "]),
    ("CIO_CATALOG", ["a/b", "a b", "a.b"]),
    ("CIO_SCHEMA", ["", "a/b"]),
    ("CIO_VOLUME", ["", "..", "a?b"]),
    ("DATABRICKS_WAREHOUSE_ID", ["/sql/1.0/warehouses/abc"]),
    ("CIO_UPLOADS", ["", "0", "65"]),
    ("CIO_FILES_CALLS", ["", "1", "65"]),
    ("CIO_FLUSH_INTERVAL_SECONDS", ["", "0", "-5", "nan", "inf", "3601", "soon"]),
    ("CIO_FRESHNESS_SECONDS", ["", "0", "-5", "nan", "inf", "86401", "soon"]),
    ("CIO_WAREHOUSE_HOURS", ["always", "08:00-18:00", "mon 08:00-18:00 Mars/Olympus"]),
    ("CIO_WAREHOUSE_DAILY_SECONDS", ["0", "59", "86401", "many"]),
    ("CIO_WAREHOUSE_STOP", ["", "yes", "ON"]),
    ("CIO_MAX_BODY_BYTES", ["", "1023", "32MiB", str((1 << 30) + 1)]),
    ("CIO_INBOX_MAX_BYTES", ["0", "-1", "1048575", "80%"]),
    ("CIO_INBOX_FLOOR_BYTES", ["-1", "10%"]),
    ("CIO_APPEND_DEADLINE_SECONDS", ["", "0", "61", "nan"]),
    ("CIO_HOST", ["", " "]),
    ("PORT", ["", "-1", "65536", "http", "80.0"]),
    ("DATABRICKS_APP_PORT", ["", "-1", "65536", "http"]),
    ("CIO_WEB_WORKERS", ["", "0", "65", "two"]),
    ("CIO_WEB_THREADS", ["", "0", "257", "many"]),
    ("CIO_ALERT_URL", ["example.com/hook", "file:///etc/passwd", "ftp://example.com"]),
    ("CIO_ALERT_LOOK_SECONDS", ["", "often", "0", "3601"]),
    ("CIO_LOG_LEVEL", ["", "INFO", "trace"]),
    ("CIO_WEBHOOK_SIGNING_KEYS", ["not-utf-8-\udcff"]),
]
SECRET = "s3cr3t\udcffvalue"
EVERYWHERE = "0.0.0.0"  # noqa: S104  # nothing is bound here


def write(path: Path, text: str) -> Path:
    """Write a file and return its path."""
    path.write_text(text)
    return path


def mode(path: Path) -> int:
    """The permission bits of a file."""
    return path.stat().st_mode & 0o777


def test_the_defaults() -> None:
    """Without variables the receiver listens on loopback, uses a local store and has no key."""
    settings = from_environment({})

    assert settings == Settings(
        signing_keys=None,
        workspaces={},
        app_api_key="",
        app_api_keys={},
        region="us",
        regions={},
        tolerance_seconds=300,
        stale_timestamps="second_sight",
        unverified_status=None,
        is_signature_in_query=False,
        store="local",
        inbox="local",
        data_dir=Path("data"),
        catalog="",
        schema="customerio",
        volume="ciolake",
        warehouse_id="",
        flush_interval_seconds=2.0,
        freshness_seconds=900.0,
        warehouse_hours=None,
        warehouse_daily_seconds=None,
        is_warehouse_stopped=False,
        max_body_bytes=33_554_432,
        inbox_max_bytes=None,
        inbox_floor_bytes=None,
        append_deadline_seconds=3.0,
        uploads=8,
        files_calls=5,
        host="127.0.0.1",
        port=8000,
        web_workers=2,
        web_threads=16,
        admin_token=None,
        alert_url="",
        alert_look_seconds=10.0,
        log_level="info",
        is_databricks_app=False,
    )
    assert settings.inbox_dir == Path("data/inbox")
    assert settings.is_loopback


def test_every_field_is_read_from_its_variable() -> None:
    """Each variable fills one field."""
    settings = from_environment(
        {
            "CIO_WEBHOOK_SIGNING_KEYS": "one, two",
            "CIO_TIMESTAMP_TOLERANCE_SECONDS": "60",
            "CIO_STALE_TIMESTAMPS": "accept",
            "CIO_UNVERIFIED_STATUS": "503",
            "CIO_STORE": "databricks",
            "CIO_DATA_DIR": "/srv/events",
            "CIO_CATALOG": "marketing",
            "CIO_SCHEMA": "events",
            "CIO_VOLUME": "landing",
            "DATABRICKS_WAREHOUSE_ID": "abc123",
            "CIO_UPLOADS": "4",
            "CIO_FLUSH_INTERVAL_SECONDS": "0.5",
            "CIO_FRESHNESS_SECONDS": "60",
            "CIO_WAREHOUSE_HOURS": "mon-fri 08:00-18:00 Europe/Berlin",
            "CIO_WAREHOUSE_DAILY_SECONDS": "3600",
            "CIO_WAREHOUSE_STOP": "on",
            "CIO_MAX_BODY_BYTES": "1024",
            "CIO_INBOX_MAX_BYTES": "1048576",
            "CIO_INBOX_FLOOR_BYTES": "0",
            "CIO_APPEND_DEADLINE_SECONDS": "1.5",
            "CIO_HOST": EVERYWHERE,
            "PORT": "0",
            "CIO_WEB_WORKERS": "4",
            "CIO_WEB_THREADS": "8",
            "CIO_ADMIN_TOKEN": " secret_token ",
            "CIO_ALERT_URL": "https://example.com/hook",
            "CIO_ALERT_LOOK_SECONDS": "30",
            "CIO_LOG_LEVEL": "debug",
        }
    )

    assert [key.secret for key in settings.signing_keys or ()] == [b"one", b"two"]
    assert settings.tolerance_seconds == 60
    assert settings.stale_timestamps == "accept"
    assert settings.unverified_status == 503
    assert settings.inbox_dir == Path("/srv/events/inbox")
    assert settings.store == "databricks"
    assert settings.volume_path == "/Volumes/marketing/events/landing"
    assert (settings.warehouse_id, settings.uploads) == ("abc123", 4)
    assert settings.flush_interval_seconds == 0.5
    assert settings.freshness_seconds == 60
    assert settings.warehouse_hours is not None
    assert settings.warehouse_daily_seconds == 3600
    assert settings.is_warehouse_stopped
    assert settings.max_body_bytes == 1024
    assert settings.inbox_max_bytes == 1 << 20
    assert settings.inbox_floor_bytes == 0
    assert settings.append_deadline_seconds == 1.5
    assert (settings.host, settings.port) == (EVERYWHERE, 0)
    assert not settings.is_loopback
    assert (settings.web_workers, settings.web_threads) == (4, 8)
    assert settings.admin_token == "secret_token"
    assert settings.alert_url == "https://example.com/hook"
    assert settings.alert_look_seconds == 30
    assert settings.log_level == "debug"


def test_an_error_names_the_variable_of_a_bad_value() -> None:
    """The text of the error begins with its name."""
    errors = {}
    for name, values in BAD_VALUES:
        for value in values:
            try:
                from_environment({"PORT": "8000", name: value})
            except SettingsError as error:
                errors[name, value[:20]] = str(error)
            else:
                errors[name, value[:20]] = "no error"

    assert len(errors) == sum(len(values) for _, values in BAD_VALUES)
    assert [
        (key, text)
        for key, text in errors.items()
        if not text.startswith(f"{key[0]} cannot be used: ")
    ] == []


def test_an_error_never_shows_the_bad_value() -> None:
    """A value in the wrong variable can be a secret: not even a traceback shows it."""
    shown = {}
    for name, _ in BAD_VALUES:
        # Without an error nothing is shown: a name or a folder can have any text.
        try:
            from_environment({name: SECRET})
        except SettingsError as error:
            shown[name] = "".join(traceback.format_exception(error))

    assert shown
    assert [name for name, text in shown.items() if "s3cr3t" in text] == []


def test_every_setting_has_bad_values_in_the_list_above() -> None:
    """A new setting must be added there."""
    free_text = {"CIO_ADMIN_TOKEN", "CIO_APP_API_KEY"}
    names = {name for setting in SETTINGS for name in (setting.name, *setting.also)}

    assert names - free_text == {name for name, _ in BAD_VALUES}


@given(st.sampled_from(SETTINGS), st.text(max_size=30))
def test_any_text_gives_settings_or_a_settings_error(setting: object, text: str) -> None:
    """No value causes another exception."""
    name = setting.name  # type: ignore[attr-defined]  # one row of SETTINGS
    with contextlib.suppress(SettingsError):
        assert from_environment({name: text})


def test_repr_shows_no_secret() -> None:
    """Keys and the admin token do not appear in the repr."""
    settings = from_environment(
        {"CIO_WEBHOOK_SIGNING_KEYS": "secret_one,secret_two", "CIO_ADMIN_TOKEN": "secret_token"}
    )

    assert "secret" not in repr(settings)


@pytest.mark.parametrize("text", ["", " ", ",", " , ,"])
def test_blank_keys_are_no_keys(text: str) -> None:
    """Set but blank means that nothing is accepted; that is not the same as unset."""
    assert from_environment({"CIO_WEBHOOK_SIGNING_KEYS": text}).signing_keys == ()
    assert from_environment({}).signing_keys is None


def test_blanks_between_commas_are_no_keys() -> None:
    """A trailing comma does not add an empty key."""
    settings = from_environment({"CIO_WEBHOOK_SIGNING_KEYS": ",one, ,two,"})

    assert [key.secret for key in settings.signing_keys or ()] == [b"one", b"two"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_addresses_are_known(host: str) -> None:
    """Only this machine can reach them."""
    assert from_environment({"CIO_HOST": host}).is_loopback


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.0.0.1", "example.com"])
def test_other_addresses_are_not_loopback(host: str) -> None:
    """Other machines may reach them."""
    assert not from_environment({"CIO_HOST": host}).is_loopback


def test_process_variables_win_over_the_file(tmp_path: Path) -> None:
    """The file `.env` gives only the variables that the process does not have."""
    file = write(tmp_path / ".env", "PORT=1\nCIO_HOST=localhost\nCIO_LOG_LEVEL\n")

    variables = environment({"PORT": "2", "HOME": "/"}, file)

    assert variables == {"PORT": "2", "CIO_HOST": "localhost", "HOME": "/"}


def test_a_missing_file_is_no_error(tmp_path: Path) -> None:
    """Then only the variables of the process count."""
    assert environment({"PORT": "2"}, tmp_path / ".env") == {"PORT": "2"}


@pytest.mark.parametrize(
    "line", ["this is no setting", 'CIO_WEBHOOK_SIGNING_KEYS="s3cret', "=s3cret", "a b=s3cret"]
)
def test_a_bad_line_of_the_file_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    """The file as a whole is refused: a key in a line that is left out would be missed."""
    file = write(tmp_path / ".env", f"# keys\nPORT=1\n{line}\n")

    with pytest.raises(SettingsError, match=r"\.env, line 3,") as caught:
        environment({}, file)

    assert "s3cret" not in str(caught.value)


def test_a_byte_order_mark_at_the_start_of_the_file_is_no_part_of_a_name(tmp_path: Path) -> None:
    """Editors of Windows write one."""
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfPORT=1\n")

    assert environment({}, file) == {"PORT": "1"}


def test_a_key_in_the_file_is_not_expanded(tmp_path: Path) -> None:
    """A key can contain text that looks like a variable of a shell."""
    file = write(tmp_path / ".env", "CIO_WEBHOOK_SIGNING_KEYS=a${HOME}b$c\n")

    assert environment({}, file)["CIO_WEBHOOK_SIGNING_KEYS"] == "a${HOME}b$c"


def test_a_file_that_is_not_text_is_a_settings_error(tmp_path: Path) -> None:
    """The error names the file and does not show its content."""
    file = tmp_path / ".env"
    file.write_bytes(b"CIO_ADMIN_TOKEN=s3cr3t\xff\n")

    with pytest.raises(SettingsError, match=r"\.env") as caught:
        environment({}, file)

    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


def test_a_databricks_app_reads_no_file_and_listens_everywhere(tmp_path: Path) -> None:
    """The variables come from app.yaml, and the port from the platform."""
    file = write(tmp_path / ".env", "PORT=1\nCIO_WEBHOOK_SIGNING_KEYS=from_file\n")
    variables = environment(
        {"DATABRICKS_APP_NAME": "ciolake", "DATABRICKS_APP_PORT": "8765", "PORT": "2"}, file
    )

    settings = from_environment(variables)

    assert settings.is_databricks_app
    assert (settings.host, settings.port) == (EVERYWHERE, 8765)
    assert settings.signing_keys is None


def test_a_databricks_app_listens_on_a_set_host() -> None:
    """CIO_HOST is used there too."""
    settings = from_environment({"DATABRICKS_APP_NAME": "ciolake", "CIO_HOST": "127.0.0.1"})

    assert settings.host == "127.0.0.1"


def test_a_development_key_is_in_a_file_that_only_the_owner_can_read(tmp_path: Path) -> None:
    """The key is random, the file contains it, and its mode is 600."""
    file, other = tmp_path / ".env", tmp_path / "other.env"

    key = make_development_key(file)

    assert dotenv_values(file) == {"CIO_WEBHOOK_SIGNING_KEYS": key}
    assert mode(file) == 0o600
    assert len(key) == 36
    assert make_development_key(other) != key


@pytest.mark.parametrize("before", ["CIO_LOG_LEVEL=debug", "CIO_LOG_LEVEL=debug\n", "# note"])
def test_a_development_key_is_added_to_an_existing_file(tmp_path: Path, before: str) -> None:
    """Its content stays, with or without a line feed at the end; its mode becomes 600."""
    file = write(tmp_path / ".env", before)
    file.chmod(0o644)
    kept = dotenv_values(file)

    key = make_development_key(file)

    assert dotenv_values(file) == {**kept, "CIO_WEBHOOK_SIGNING_KEYS": key}
    assert file.read_text().startswith(before)
    assert mode(file) == 0o600


def test_serve_makes_a_key_if_none_is_set_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start finds it in `.env`."""
    monkeypatch.chdir(tmp_path)

    made = with_keys(from_environment({}), {})

    assert made.signing_keys == from_environment(environment({})).signing_keys
    assert len(made.signing_keys or ()) == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"CIO_WEBHOOK_SIGNING_KEYS": ""},
        {"CIO_HOST": EVERYWHERE},
        {"DATABRICKS_APP_NAME": "ciolake"},
        {"DATABRICKS_APP_NAME": "ciolake", "CIO_HOST": "127.0.0.1"},
    ],
    ids=["empty", "open-address", "databricks-app", "databricks-app-on-loopback"],
)
def test_serve_makes_no_key_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """If the keys are set but empty, or other machines can reach it, nothing is accepted."""
    monkeypatch.chdir(tmp_path)

    assert with_keys(from_environment(variables), variables).signing_keys == ()
    assert not (tmp_path / ".env").exists()


@pytest.mark.parametrize(
    "name",
    [
        "CIO_WEBHOOK_SIGNING_KEY",
        "CIO_SIGNING_KEYS",
        "cio_webhook_signing_keys",
        "CI0_WEBHOOK_SIGNING_KEYS",
    ],
)
def test_serve_makes_no_development_key_beside_a_misspelt_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It does not start, and says why; it shows no key. A file with nothing else is unchanged."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"{name}=s3cret-of-customer-io\n", "utf-8")
    variables = environment({})

    with pytest.raises(SettingsError, match="did you mean CIO_WEBHOOK_SIGNING_KEYS") as caught:
        with_keys(from_environment(variables), variables)

    assert "s3cret" not in str(caught.value)
    assert (tmp_path / ".env").read_text("utf-8") == f"{name}=s3cret-of-customer-io\n"


def test_serve_keeps_the_keys_that_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes no other key."""
    monkeypatch.chdir(tmp_path)
    settings = from_environment({"CIO_WEBHOOK_SIGNING_KEYS": "one"})

    assert with_keys(settings, {}) is settings


def test_serve_fails_if_the_key_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the setting and the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").mkdir()

    with pytest.raises(SettingsError, match=r"CIO_WEBHOOK_SIGNING_KEYS.*\.env"):
        with_keys(from_environment({}), {})


def test_serve_makes_no_admin_token_beside_a_misspelt_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second token would hide the mistake; it starts without one."""
    monkeypatch.chdir(tmp_path)
    variables = {"CIO_ADMIN_TOKN": "s3cret"}

    assert with_admin_token(from_environment(variables), variables).admin_token is None
    assert not (tmp_path / ".env").exists()


def test_an_admin_token_is_in_the_file_of_the_development_key(tmp_path: Path) -> None:
    """It is random, and the mode of the file is 600."""
    file = tmp_path / ".env"
    key = make_development_key(file)

    token = make_admin_token(file)

    assert dotenv_values(file) == {"CIO_WEBHOOK_SIGNING_KEYS": key, "CIO_ADMIN_TOKEN": token}
    assert mode(file) == 0o600
    assert len(token) == 32
    assert make_admin_token(tmp_path / "other.env") != token


def test_serve_makes_an_admin_token_if_none_is_set_on_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start finds it in `.env`."""
    monkeypatch.chdir(tmp_path)

    made = with_admin_token(from_environment({}), {})
    again = from_environment(environment({}))

    assert made.admin_token
    assert made.admin_token == again.admin_token
    assert with_admin_token(again, {}) is again


@pytest.mark.parametrize(
    "variables",
    [
        {"CIO_ADMIN_TOKEN": ""},
        {"CIO_HOST": EVERYWHERE},
        {"DATABRICKS_APP_NAME": "ciolake", "CIO_HOST": "127.0.0.1"},
    ],
    ids=["empty", "open-address", "databricks-app-on-loopback"],
)
def test_serve_makes_no_admin_token_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """If the token is set but empty, or other machines can reach it, nobody has access."""
    monkeypatch.chdir(tmp_path)

    assert not with_admin_token(from_environment(variables), variables).admin_token
    assert not (tmp_path / ".env").exists()


def test_serve_starts_even_if_the_admin_token_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing page is harmless; a receiver that does not start stalls the feed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").mkdir()

    with capture_logs() as lines:
        settings = with_admin_token(from_environment({}), {})

    assert settings.admin_token is None
    assert [line["event"] for line in lines] == ["admin_token_not_made"]


def test_the_databricks_store_needs_a_catalog() -> None:
    """There is no default catalog."""
    with pytest.raises(SettingsError, match="CIO_CATALOG"):
        from_environment({"CIO_STORE": "databricks"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'quoted-key'", "the key contains a quotation mark"),
        ("right-key,\ufeffmarked-key", "key 2 of 2 begins with a byte order mark"),
        ("0123456789abcdef0123456789abcdef", "App API"),
        ("right-key, 0123456789abcdef0123", "key 2 of 2 has the form of a Track API"),
    ],
)
def test_a_signing_key_that_cannot_be_right_is_refused(text: str, words: str) -> None:
    """At the start, not by every request; the error says which key, without showing it."""
    with pytest.raises(SettingsError, match="CIO_WEBHOOK_SIGNING_KEYS") as caught:
        from_environment({"CIO_WEBHOOK_SIGNING_KEYS": text})

    assert words in str(caught.value)
    assert not any(part.strip("'\ufeff ") in str(caught.value) for part in text.split(","))


REMOTE = {"CIO_STORE": "databricks", "CIO_CATALOG": "main"}


def test_the_inbox_is_the_volume_unless_a_local_one_is_chosen() -> None:
    """With tables in Databricks, inside and outside a Databricks App. An upgrade moves no inbox."""
    inboxes = [
        from_environment(variables).inbox
        for variables in (
            REMOTE,
            REMOTE | {"DATABRICKS_APP_NAME": "ciolake"},
            REMOTE | {"CIO_INBOX": "local"},
            {"CIO_INBOX": "local"},
        )
    ]

    assert inboxes == ["volume", "volume", "local", "local"]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CIO_INBOX": "volume"}, "CIO_INBOX=volume needs CIO_STORE=databricks"),
        (
            REMOTE | {"CIO_INBOX": "local", "DATABRICKS_APP_NAME": "ciolake"},
            "cannot be used in a Databricks App.*remove CIO_INBOX",
        ),
    ],
)
def test_an_inbox_that_cannot_keep_events_is_refused(variables: dict[str, str], words: str) -> None:
    """The volume is in Databricks; the disk of an app is lost at every restart."""
    with pytest.raises(SettingsError, match=words):
        from_environment(variables)
