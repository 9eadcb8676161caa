"""Access: who may see metrics and the detail of `/readyz`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.ingest.access import may_see_details
from databricks_app.settings import Settings, from_environment

LOOPBACK = from_environment({})
OPEN = replace(LOOPBACK, host="203.0.113.5")
GUARDED = replace(OPEN, admin_token="right_token")
DATABRICKS = from_environment({"DATABRICKS_APP_NAME": "ciolake"})

LOCAL = {"HTTP_HOST": "localhost:8000", "REMOTE_ADDR": "127.0.0.1"}
BEARER = {"HTTP_HOST": "events.example.com", "HTTP_AUTHORIZATION": "Bearer right_token"}


@pytest.mark.parametrize("settings", [LOOPBACK, OPEN], ids=["loopback", "open-address"])
def test_without_a_token_nobody_may_see_details(settings: Settings) -> None:
    """Also on a loopback address."""
    assert not any(may_see_details(headers, settings) for headers in (LOCAL, BEARER, {}))


@pytest.mark.parametrize("token", [None, ""])
def test_an_empty_token_matches_nothing(token: str | None) -> None:
    """If the token is unset or empty, an empty token in the request does not match it."""
    settings = replace(LOOPBACK, admin_token=token)

    accepted = [
        value
        for value in ("", "Bearer", "Bearer ", "bearer  ")
        if may_see_details({"HTTP_AUTHORIZATION": value}, settings)
    ]

    assert accepted == []


@pytest.mark.parametrize(
    "value", ["Bearer right_token", "bearer right_token", "BEARER   right_token "]
)
def test_the_token_gives_access(value: str) -> None:
    """It is a bearer token; upper and lower case of the scheme are the same."""
    for settings in (GUARDED, replace(LOOPBACK, admin_token="right_token")):
        assert may_see_details({**BEARER, "HTTP_AUTHORIZATION": value}, settings)


def test_the_token_gives_access_through_a_proxy() -> None:
    """From anywhere, also to a loopback address."""
    through = {**BEARER, "HTTP_X_FORWARDED_FOR": "203.0.113.9"}

    assert may_see_details(through, GUARDED)
    assert may_see_details(through, replace(LOOPBACK, admin_token="right_token"))


def test_a_wrong_token_gives_no_access() -> None:
    """Only the complete token does; other values raise no error."""
    values = (
        "right_token",
        "Basic right_token",
        "Bearer wrong_token",
        "Bearer right_token2",
        "Bearer right",
        "Bearer",
        "Bearer right token",
        "Bearer \xff",
        "Bearer \u0661",
        "",
    )

    accepted = [
        value
        for value in values
        for headers in (BEARER, LOCAL)
        if may_see_details({**headers, "HTTP_AUTHORIZATION": value}, GUARDED)
    ]

    assert accepted == []


def test_a_token_outside_ascii_is_compared_as_utf8_bytes() -> None:
    """A server decodes header bytes as latin-1."""
    settings = replace(OPEN, admin_token="schlüssel")
    received = "schlüssel".encode().decode("latin-1")

    assert may_see_details({"HTTP_AUTHORIZATION": f"Bearer {received}"}, settings)


def test_a_databricks_app_trusts_the_platforms_sign_in() -> None:
    """Only there the platform's header is trusted."""
    signed_in = {"HTTP_HOST": "app.example.com", "HTTP_X_FORWARDED_EMAIL": "ada@example.com"}

    assert may_see_details(signed_in, DATABRICKS)
    assert not may_see_details(signed_in, OPEN)
    assert not may_see_details(signed_in, GUARDED)
    assert not may_see_details({**signed_in, **LOCAL}, LOOPBACK)


@pytest.mark.parametrize("headers", [{}, LOCAL, {"HTTP_X_FORWARDED_EMAIL": ""}, BEARER])
def test_a_databricks_app_shows_no_details_without_a_sign_in(headers: dict[str, str]) -> None:
    """A loopback name or a token does not replace the platform's header."""
    assert not may_see_details(headers, replace(DATABRICKS, admin_token="right_token"))
    assert not may_see_details(headers, replace(DATABRICKS, host="127.0.0.1"))


@given(
    st.dictionaries(
        st.sampled_from(
            ["HTTP_HOST", "HTTP_VIA", "HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "REMOTE_ADDR"]
        ),
        st.sampled_from(["localhost", "127.0.0.1", "[::1]", "203.0.113.9", ""]) | st.text(),
    ),
    st.sampled_from(
        [LOOPBACK, replace(LOOPBACK, admin_token="right_token"), OPEN, GUARDED, DATABRICKS]
    ),
)
def test_the_origin_of_a_request_makes_no_difference(
    headers: dict[str, str], settings: Settings
) -> None:
    """Host, peer address and headers of proxies give no access."""
    assert not may_see_details(headers, settings)
