"""The bridge to WSGI apps: what an app is given, and what comes of what it says."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.validate import validator

import pytest

from databricks_app.serving.http.parser import Head
from databricks_app.serving.http.wsgi import Ends, RequestTarget, WsgiResponse, call, environ

ENDS = Ends("192.0.2.1", "4321", "192.0.2.2", "80")


def asked(
    method: str = "GET",
    target: bytes = b"/a",
    fields: dict[bytes, bytes] | None = None,
    body: bytes = b"",
) -> dict[str, Any]:
    """What an app is given for a request."""
    head = Head(method, target, "1.1", fields or {}, closes=False)
    return environ(head, RequestTarget.of(target), ENDS, io.BytesIO(body), len(body))


def app(
    status: str = "200 OK", headers: list[tuple[str, str]] | None = None, body: bytes = b"said"
) -> Callable[..., Iterable[bytes]]:
    """Make an app that says this."""

    def answer(_environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        start(status, headers or [("Content-Type", "text/plain")])
        return [body]

    return answer


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/a?b=c?d", "/a", "b=c?d"),
        (b"//a/%2e%2E/%C3%A9", "//a/../\xc3\xa9", ""),
        (b"http://h:1/a?b", "/a", "b"),
        (b"http://h?b", "/", "b"),
        (b"http://h", "/", ""),
        (b"/a#f?b", "/a", ""),
        (b"*", "*", ""),
    ],
)
def test_a_target_is_a_decoded_path_and_a_raw_query(target: bytes, path: str, query: str) -> None:
    """In each of the forms of HTTP."""
    found = RequestTarget.of(target)

    assert (found.path, found.query) == (path, query)


def test_a_target_below_another_path_is_none_of_the_app() -> None:
    """Where the app is mounted decides what its paths are."""
    assert RequestTarget.of(b"/m/a", "/m").path == "/a"
    assert RequestTarget.of(b"/a", "/m").path == ""


def test_an_app_is_given_what_pep_3333_asks_for() -> None:
    """The validator of the standard library finds nothing wrong."""
    given = asked("POST", b"/a?b", {b"host": b"h", b"content-type": b"t", b"x-a": b"1"}, b"body")

    response = call(validator(app()), given)

    assert (response.status_line, response.body) == ("200 OK", b"said")
    assert (given["CONTENT_TYPE"], given["HTTP_X_A"], given["HTTP_HOST"]) == ("t", "1", "h")
    assert (given["REMOTE_ADDR"], given["SERVER_PORT"]) == ("192.0.2.1", "80")


def test_the_length_of_an_answer_is_told() -> None:
    """Unless the app tells it."""
    own = [("Content-Length", "4")]

    assert ("Content-Length", "4") in call(app(), asked()).headers
    assert call(app(headers=own), asked()).headers == own


def test_headers_of_the_connection_are_the_servers() -> None:
    """The app's own are left out."""
    headers = [("Connection", "x"), ("Date", "x"), ("Server", "x"), ("A", "b")]

    assert call(app(headers=headers), asked()).headers == [("A", "b"), ("Content-Length", "4")]


def test_an_answer_to_head_has_no_body() -> None:
    """It tells the length that the body would have."""
    response = call(app(), asked("HEAD"))

    assert (response.body, response.headers[-1]) == (b"", ("Content-Length", "4"))


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_some_answers_have_neither_body_nor_length(status: str) -> None:
    """By HTTP."""
    assert call(app(status, [("A", "b")]), asked()) == WsgiResponse(status, [("A", "b")], b"")


@pytest.mark.parametrize("header", [("A", "b\r\nC: d"), ("A\n", "b"), ("A", "\0")])
def test_a_header_of_two_lines_is_refused(header: tuple[str, str]) -> None:
    """It could be a second answer."""
    with pytest.raises(ValueError, match="line end"):
        call(app(headers=[header]), asked())


def test_an_app_that_says_nothing_is_an_error() -> None:
    """And what it opened is closed."""

    class Pieces:
        closed = False

        def __iter__(self) -> Iterable[bytes]:
            return iter(())

        def close(self) -> None:
            self.closed = True

    pieces = Pieces()
    with pytest.raises(RuntimeError):
        call(lambda _environ, _start: pieces, asked())
    assert pieces.closed


def test_what_an_app_writes_comes_first() -> None:
    """The old way of WSGI."""

    def answer(_environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])(b"a")
        return [b"b"]

    assert call(answer, asked()).body == b"ab"


def test_the_addresses_of_unix_sockets_are_empty() -> None:
    """As WSGI servers tell them."""
    assert Ends.of("", b"/run/socket") == Ends("", "", "", "")
    assert Ends.of(("::1", 2, 0, 0), ("::1", 3, 0, 0)) == Ends("::1", "2", "::1", "3")
