"""Access: who may see more than that the receiver is alive."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.ingest.access import may_see_details
from databricks_app.settings import from_environment

LOOPBACK = from_environment({})
OPEN = replace(LOOPBACK, host="203.0.113.5")
GUARDED = replace(OPEN, admin_token="right_token")
DATABRICKS = from_environment({"DATABRICKS_APP_NAME": "ciolake"})

LOCAL = {"HTTP_HOST": "localhost:8000"}
BEARER = {"HTTP_HOST": "events.example.com", "HTTP_AUTHORIZATION": "Bearer right_token"}
MARKS = [
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_EMAIL",
    "HTTP_X_FORWARDED_ANYTHING",
]
LOOPBACK_HOST = re.compile(r"(?i)(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]",
        "[::1]:8000",
        "LocalHost",
    ],
)
def test_loopback_is_open_under_its_own_names(host: str) -> None:
    """Bound to loopback and called by a loopback name, the details are shown."""
    assert may_see_details({"HTTP_HOST": host}, LOOPBACK)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "events.example.com",
        "localhost.example.com",
        "127.0.0.1.example.com:8000",
        "localhost@example.com",
        "example.com:127.0.0.1",
        "[::1]example.com",
        "[::1",
        "[::1]:",
        "::1:8000",
        "localhost:8000:9000",
        "localhost:http",
        "localhost\n",
        " localhost",
        "::1",
        "0",
        "127.0.0.2",
        "127.1",
        "[::ffff:127.0.0.1]",
    ],
)
def test_loopback_is_closed_under_other_names(host: str) -> None:
    """A page of another site that points its own name here sees nothing."""
    assert not may_see_details({"HTTP_HOST": host}, LOOPBACK)


def test_loopback_is_closed_without_a_host() -> None:
    """A request that does not say whom it calls sees nothing."""
    assert not may_see_details({}, LOOPBACK)


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("value", ["203.0.113.9", ""])
def test_loopback_is_closed_behind_a_proxy(mark: str, value: str) -> None:
    """Behind a tunnel the peer is loopback too: any mark of a proxy closes."""
    assert not may_see_details({**LOCAL, mark: value}, LOOPBACK)


@pytest.mark.parametrize("headers", [LOCAL, BEARER, {}])
def test_elsewhere_it_is_off_without_a_token(headers: dict[str, str]) -> None:
    """On an address that others reach nothing is shown unless a token is set."""
    assert not may_see_details(headers, OPEN)


@pytest.mark.parametrize("blank", ["", "Bearer", "Bearer ", "bearer  "])
def test_an_empty_token_is_no_token(blank: str) -> None:
    """An unset token cannot be matched by an empty one."""
    assert not may_see_details({"HTTP_AUTHORIZATION": blank}, OPEN)


@pytest.mark.parametrize(
    "value", ["Bearer right_token", "bearer right_token", "BEARER   right_token "]
)
def test_elsewhere_the_token_opens(value: str) -> None:
    """The admin token is a bearer token; the scheme's case does not matter."""
    assert may_see_details({**BEARER, "HTTP_AUTHORIZATION": value}, GUARDED)


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


hosts = (
    st.text(max_size=30)
    | st.from_regex(LOOPBACK_HOST)
    | st.tuples(
        st.sampled_from(["localhost", "127.0.0.1", "[::1]", "::1", "[::1", "example.com"]),
        st.text(alphabet=":@.[]/0189lo\n ", max_size=6),
    ).map("".join)
)


@given(hosts)
def test_only_loopback_names_open_loopback(host: str) -> None:
    """Any Host header: it opens if and only if it is a loopback name, with or without a port."""
    is_open = may_see_details({"HTTP_HOST": host}, LOOPBACK)

    assert is_open == bool(LOOPBACK_HOST.fullmatch(host) and host.isascii())


@given(hosts, st.sampled_from([OPEN, GUARDED, DATABRICKS]))
def test_no_host_opens_anything_else(host: str, settings: object) -> None:
    """Elsewhere the Host header, which a caller chooses, decides nothing."""
    assert not may_see_details({"HTTP_HOST": host}, settings)  # type: ignore[arg-type]  # Settings
