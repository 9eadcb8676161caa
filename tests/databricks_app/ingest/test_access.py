"""Access: who may see more than that the receiver is alive."""

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


@pytest.mark.parametrize("settings", [LOOPBACK, OPEN], ids=["loopback", "elsewhere"])
@pytest.mark.parametrize("headers", [LOCAL, BEARER, {}])
def test_without_a_token_it_is_off(settings: Settings, headers: dict[str, str]) -> None:
    """Nothing is shown unless a token is set, on a loopback address neither."""
    assert not may_see_details(headers, settings)


@pytest.mark.parametrize("blank", ["", "Bearer", "Bearer ", "bearer  "])
@pytest.mark.parametrize("token", [None, ""])
def test_an_empty_token_is_no_token(blank: str, token: str | None) -> None:
    """A token that is unset or empty cannot be matched by an empty one."""
    settings = replace(LOOPBACK, admin_token=token)

    assert not may_see_details({"HTTP_AUTHORIZATION": blank}, settings)


@pytest.mark.parametrize(
    "value", ["Bearer right_token", "bearer right_token", "BEARER   right_token "]
)
def test_the_token_opens(value: str) -> None:
    """The admin token is a bearer token; the scheme's case does not matter."""
    for settings in (GUARDED, replace(LOOPBACK, admin_token="right_token")):
        assert may_see_details({**BEARER, "HTTP_AUTHORIZATION": value}, settings)


def test_the_token_opens_through_a_proxy() -> None:
    """Who has the token may come from anywhere, to a loopback address too."""
    through = {**BEARER, "HTTP_X_FORWARDED_FOR": "203.0.113.9"}

    assert may_see_details(through, GUARDED)
    assert may_see_details(through, replace(LOOPBACK, admin_token="right_token"))


@pytest.mark.parametrize(
    "value",
    [
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
    ],
)
def test_a_wrong_token_does_not_open(value: str) -> None:
    """Anything but the whole token is refused and raises nothing."""
    assert not may_see_details({**BEARER, "HTTP_AUTHORIZATION": value}, GUARDED)
    assert not may_see_details({**LOCAL, "HTTP_AUTHORIZATION": value}, GUARDED)


def test_a_token_outside_ascii_is_matched_by_its_utf8_bytes() -> None:
    """A server shows header bytes as latin-1; the token is compared as bytes."""
    settings = replace(OPEN, admin_token="schlüssel")
    received = "schlüssel".encode().decode("latin-1")

    assert may_see_details({"HTTP_AUTHORIZATION": f"Bearer {received}"}, settings)


def test_a_databricks_app_trusts_the_platforms_sign_in() -> None:
    """There, and only there, the platform's header says who was signed in."""
    signed_in = {"HTTP_HOST": "app.example.com", "HTTP_X_FORWARDED_EMAIL": "ada@example.com"}

    assert may_see_details(signed_in, DATABRICKS)
    assert not may_see_details(signed_in, OPEN)
    assert not may_see_details(signed_in, GUARDED)
    assert not may_see_details({**signed_in, **LOCAL}, LOOPBACK)


@pytest.mark.parametrize("headers", [{}, LOCAL, {"HTTP_X_FORWARDED_EMAIL": ""}, BEARER])
def test_a_databricks_app_shows_nothing_without_a_sign_in(headers: dict[str, str]) -> None:
    """Without the header nobody was signed in, loopback names and tokens notwithstanding."""
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
def test_where_a_request_comes_from_decides_nothing(
    headers: dict[str, str], settings: Settings
) -> None:
    """Neither Host, nor the peer, nor a mark of a proxy or the lack of one."""
    assert not may_see_details(headers, settings)
