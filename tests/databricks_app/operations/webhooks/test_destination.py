"""URLs and keys come from the options, the environment and .env, or are refused in words."""

from __future__ import annotations

import pytest

from core.webhooks.sender import Destination
from core.webhooks.signature import SigningKey
from databricks_app.errors import SettingsError
from databricks_app.operations.webhooks.destination import local, parse, signing_key


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "http://127.0.0.1:8000",
            Destination(False, "127.0.0.1", 8000, "/api/webhooks/customerio"),
        ),
        (
            "https://a.example.com/",
            Destination(True, "a.example.com", 443, "/api/webhooks/customerio"),
        ),
        ("http://a.example.com/hook?x=1", Destination(False, "a.example.com", 80, "/hook?x=1")),
        ("http://[::1]:9/hook", Destination(False, "::1", 9, "/hook")),
    ],
)
def test_parse_takes_a_url_apart(url: str, expected: Destination) -> None:
    """Scheme, host and port are told apart; a missing path means the receiver's."""
    assert parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ftp://a.example.com",
        "http://",
        "http://a.example.com:99999",
        "http://user:word@a.example.com",
        "http://a.example.com/späte",
        "http://[::1",
    ],
)
def test_parse_refuses_what_is_no_url_for_posting(url: str) -> None:
    """The text says what is wrong and does not repeat what may hold a password."""
    with pytest.raises(SettingsError, match="the URL") as caught:
        parse(url)

    assert "word" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/a?b=c", "https://[::1]:9/hook"])
def test_destination_gives_its_url_back(url: str) -> None:
    """Taking a whole URL apart loses nothing."""
    assert parse(url).url == url


@pytest.mark.parametrize(
    ("variables", "port"),
    [
        ({}, 8000),
        ({"PORT": "9001"}, 9001),
        ({"DATABRICKS_APP_PORT": "9002", "PORT": "9001"}, 9002),
    ],
)
def test_local_is_where_the_receiver_would_listen(variables: dict[str, str], port: int) -> None:
    """The port is read as the receiver itself reads it."""
    assert local(variables).url == f"http://127.0.0.1:{port}/api/webhooks/customerio"


@pytest.mark.parametrize("port", ["0", "many"])
def test_local_refuses_a_port_that_tells_nothing(port: str) -> None:
    """Any free port, or no number, cannot be posted to."""
    with pytest.raises(SettingsError, match="PORT"):
        local({"PORT": port})


def test_signing_key_is_the_first_of_several() -> None:
    """Blank parts of the list are passed over."""
    key = signing_key({"CIO_WEBHOOK_SIGNING_KEYS": " , first ,second"})

    assert key == SigningKey.from_text("first")


@pytest.mark.parametrize("variables", [{}, {"OTHER": ""}, {"OTHER": " , "}])
def test_signing_key_refuses_an_absent_one(variables: dict[str, str]) -> None:
    """The text names the variable to set."""
    with pytest.raises(SettingsError, match="OTHER"):
        signing_key(variables, "OTHER")
