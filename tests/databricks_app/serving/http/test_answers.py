"""The bytes of answers: the same as gunicorn's."""

from __future__ import annotations

import itertools
import socket
from http import HTTPStatus

from gunicorn import SERVER
from gunicorn.config import Config
from gunicorn.http.message import Request as GunicornRequest
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import Response

from databricks_app.app import create_app
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.receiver import RECEIVER_STATUSES
from databricks_app.ingest.wsgi import webhook_of
from databricks_app.serving.http.answers import Answers
from databricks_app.settings import Settings


def gunicorns_answer(status: int, headers: list[tuple[str, str]], *, closes: bool) -> bytes:
    """Return the bytes that gunicorn sends, with a fixed date."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = b"Connection: close\r\n" if closes else b""
        message = b"POST / HTTP/1.1\r\n" + line + b"Content-Length: 0\r\n\r\n"
        request = GunicornRequest(Config(), IterUnreader(iter([message])), ("192.0.2.1", 1))
        response = Response(request, theirs, Config())
        response.start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        response.close()
        answer = ours.recv(4096)
    date = next(line for line in answer.split(b"\r\n") if line.startswith(b"Date: "))
    return answer.replace(date, b"Date: Tue, 14 Nov 2023 22:13:20 GMT")


def test_answers_equal_those_of_gunicorn(settings: Settings, inbox: LocalInbox) -> None:
    """Byte for byte, except for the date, for each status of the receiver."""
    webhook = webhook_of(create_app(settings, inbox=inbox))
    assert webhook is not None
    answers = Answers(SERVER, webhook.headers, lambda: 1_700_000_000.9)
    cases = list(itertools.product(RECEIVER_STATUSES, (False, True)))

    made = {(status, closes): answers(status, closes) for status, closes in cases}

    assert made == {
        (status, closes): gunicorns_answer(status, list(webhook.headers[status]), closes=closes)
        for status, closes in cases
    }


def test_answers_have_the_date_of_each_second() -> None:
    """Cached answers are dropped when the second changes."""
    at = [0.0]
    answers = Answers("s", {200: ()}, lambda: at[0])
    first = answers(200, False)
    at[0] = 1.0

    assert first is not answers(200, False)
    assert b"00:00:01 GMT" in answers(200, False)
    assert answers(200, False) is answers(200, False)
