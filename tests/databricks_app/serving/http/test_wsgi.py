"""The bridge to WSGI apps: the environ of a request, and the answer of an app."""

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
    """The environ of a request."""
    head = Head(method, target, "1.1", fields or {}, closes=False)
    return environ(head, RequestTarget.of(target), ENDS, io.BytesIO(body), len(body))


def app(
    status: str = "200 OK", headers: list[tuple[str, str]] | None = None, body: bytes = b"text"
) -> Callable[..., Iterable[bytes]]:
    """Make an app with this answer."""

    def answer(_environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        start(status, headers or [("Content-Type", "text/plain")])
        return [body]

    return answer


def test_a_target_is_a_decoded_path_and_a_raw_query() -> None:
    """In each of the forms of HTTP."""
    expected = {
        b"/a?b=c?d": ("/a", "b=c?d"),
        b"//a/%2e%2E/%C3%A9": ("//a/../\xc3\xa9", ""),
        b"http://h:1/a?b": ("/a", "b"),
        b"http://h?b": ("/", "b"),
        b"http://h": ("/", ""),
        b"/a#f?b": ("/a", ""),
        b"*": ("*", ""),
    }

    found = {target: RequestTarget.of(target) for target in expected}

    assert {target: (one.path, one.query) for target, one in found.items()} == expected


def test_a_target_outside_the_mount_has_no_path() -> None:
    """The mount point is not part of the path."""
    assert RequestTarget.of(b"/m/a", "/m").path == "/a"
    assert RequestTarget.of(b"/a", "/m").path == ""


def test_the_environ_follows_pep_3333() -> None:
    """The validator of the standard library finds no fault."""
    given = asked("POST", b"/a?b", {b"host": b"h", b"content-type": b"t", b"x-a": b"1"}, b"body")

    response = call(validator(app()), given)

    assert (response.status_line, response.body) == ("200 OK", b"text")
    assert (given["CONTENT_TYPE"], given["HTTP_X_A"], given["HTTP_HOST"]) == ("t", "1", "h")
    assert (given["REMOTE_ADDR"], given["SERVER_PORT"]) == ("192.0.2.1", "80")


def test_an_answer_has_a_content_length() -> None:
    """The app's own one, if it has one."""
    own = [("Content-Length", "4")]

    assert ("Content-Length", "4") in call(app(), asked()).headers
    assert call(app(headers=own), asked()).headers == own


def test_hop_by_hop_headers_of_an_app_are_dropped() -> None:
    """The server sets them."""
    headers = [("Connection", "x"), ("Date", "x"), ("Server", "x"), ("A", "b")]

    assert call(app(headers=headers), asked()).headers == [("A", "b"), ("Content-Length", "4")]


def test_an_answer_to_head_has_no_body() -> None:
    """It has the length that the body would have."""
    response = call(app(), asked("HEAD"))

    assert (response.body, response.headers[-1]) == (b"", ("Content-Length", "4"))


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_some_answers_have_neither_body_nor_length(status: str) -> None:
    """As HTTP requires."""
    assert call(app(status, [("A", "b")]), asked()) == WsgiResponse(status, [("A", "b")], b"")


@pytest.mark.parametrize("header", [("A", "b\r\nC: d"), ("A\n", "b"), ("A", "\0")])
def test_a_header_with_a_line_end_is_refused(header: tuple[str, str]) -> None:
    """It could start a second answer."""
    with pytest.raises(ValueError, match="line end"):
        call(app(headers=[header]), asked())


def test_an_app_without_start_response_is_an_error() -> None:
    """Its iterable is closed."""

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


def test_bytes_from_write_come_first() -> None:
    """The old interface of WSGI."""

    def answer(_environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])(b"a")
        return [b"b"]

    assert call(answer, asked()).body == b"ab"


def test_the_addresses_of_unix_sockets_are_empty() -> None:
    """As in other WSGI servers."""
    assert Ends.of("", b"/run/socket") == Ends("", "", "", "")
    assert Ends.of(("::1", 2, 0, 0), ("::1", 3, 0, 0)) == Ends("::1", "2", "::1", "3")
