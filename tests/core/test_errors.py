"""Errors: the vendor's message in every format, and no personal data in the text."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import core
from core import errors
from core.errors import ApiError, CustomerIOError
from core.http.responses import Response, retry_after_seconds, vendor_messages
from core.http.status_errors import from_response
from core.redaction import redacted
from core.webhooks.sender import NoAnswer
from tests.support.error_trees import declared, drawn

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def answer(status: int, body: object = None, **headers: str) -> Response:
    """Create an answer; the body is encoded unless it is bytes, `_` in header names becomes `-`."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, data)


def error_of(response: Response) -> ApiError:
    """Create the error for an answer to the second attempt of `track`."""
    return from_response(response, operation="track", attempts=2, now=NOW)


def test_each_status_has_its_error_class() -> None:
    """The error has the facts of the answer as attributes."""
    classes = {
        303: errors.RedirectError,
        400: errors.BadRequestError,
        401: errors.AuthenticationError,
        403: errors.ForbiddenError,
        404: errors.NotFoundError,
        409: errors.ConflictError,
        413: errors.ContentTooLargeError,
        418: errors.ApiError,
        422: errors.UnprocessableError,
        429: errors.RateLimitError,
        500: errors.ServerError,
        524: errors.ServerError,
    }

    made = [
        error_of(answer(status, {}, x_request_id="req-1", retry_after="7")) for status in classes
    ]

    assert {error.status: type(error) for error in made} == classes
    assert {(error.operation, error.attempts) for error in made} == {("track", 2)}
    assert {(error.request_id, error.retry_after_seconds) for error in made} == {("req-1", 7.0)}


def test_vendor_messages_reads_every_format() -> None:
    """An answer without a message is no error."""
    bodies: list[tuple[object, tuple[str, ...]]] = [
        ({"errors": [{"status": "422", "detail": "no such id"}]}, ("no such id",)),
        ({"errors": [{"detail": "a"}, {"detail": "b", "code": "c"}]}, ("a", "b")),
        ({"errors": [{"code": "only_code"}, 7, None]}, ("only_code",)),
        ({"errors": ["text"]}, ("text",)),
        ({"meta": {"error": "bad attachment"}}, ("bad attachment",)),
        ({"meta": {"errors": ["first", "second"]}}, ("first", "second")),
        ({"error": {"message": "m"}}, ("m",)),
        ({"message": "plain"}, ("plain",)),
        ({"meta": "odd"}, ()),
        ({"errors": [""]}, ()),
        ([], ()),
        (None, ()),
        (b"<html>Bad Gateway</html>", ()),
        (b"\xff\xfe", ()),
        (b"[" * 100_000, ()),
    ]

    wrong = [
        (body, found)
        for body, expected in bodies
        if (found := vendor_messages(answer(400, body))) != expected
    ]

    assert wrong == []


def test_text_of_an_error_has_no_e_mail_address() -> None:
    """The attribute has the vendor's message unchanged; `str` and `repr` show no address."""
    words = "person ada.l+x@example.com (ada%40example.com) unknown"

    error = error_of(answer(404, {"errors": [{"detail": words}]}))

    assert error.vendor_message == words
    assert "unknown" in str(error)
    assert "example.com" not in str(error) + repr(error)


def test_text_of_an_error_shows_no_answer_that_is_not_json() -> None:
    """The page of a proxy may contain the request. It is an attribute only."""
    error = error_of(answer(502, b"<html>you sent secret-body</html>"))

    assert "secret-body" in error.body
    assert "secret-body" not in str(error) + repr(error)
    assert error.vendor_message is None


def test_error_has_no_key_that_the_server_sends_back() -> None:
    """The key is removed from all texts of the answer."""
    response = answer(401, {"meta": {"error": "key k3y is bad"}}, x_request_id="r-k3y")

    error = from_response(
        response,
        operation="track",
        attempts=1,
        now=NOW,
        scrub=lambda text: text.replace("k3y", "[key]"),
    )

    assert "k3y" not in f"{error} {error!r} {error.body} {error.vendor_message} {error.request_id}"


@given(
    st.text(max_size=30), st.from_regex(r"[a-z0-9._+-]{1,20}@[a-z0-9-]{1,10}\.com", fullmatch=True)
)
def test_redacted_leaves_no_address(before: str, address: str) -> None:
    """An address is removed, whatever text is before it."""
    text = redacted(f"{before} {address} after")

    assert address not in text
    assert text.endswith("after")


def test_redacted_is_bounded() -> None:
    """A megabyte without spaces is fast, and the result is short."""
    assert len(redacted("a" * 1_000_000)) == 500


def test_retry_after_is_seconds_or_a_date() -> None:
    """A date in the past is 0 seconds; any other text is None."""
    expected = {
        "0": 0.0,
        "12": 12.0,
        "1.5": 1.5,
        "Sun, 22 Nov 2026 12:01:30 GMT": 90.0,
        "Sun, 22 Nov 2026 12:01:30 -0000": 90.0,
        "Sun, 22 Nov 2026 11:00:00 GMT": 0.0,
        "-3": None,
        "soon": None,
        "9" * 400: None,
        "": None,
    }

    found = {text: retry_after_seconds(answer(429, retry_after=text), NOW) for text in expected}

    assert found == expected


def test_outcome_is_unknown_after_a_server_error_or_a_408() -> None:
    """After other failures the vendor did not execute the call."""
    unknown = [
        s for s in (400, 404, 408, 422, 429, 500, 503) if error_of(answer(s)).is_outcome_unknown
    ]

    assert unknown == [408, 500, 503]


def all_classes(kind: type[CustomerIOError]) -> list[type[CustomerIOError]]:
    """Return a class and all its subclasses in `core.errors`."""
    subs = [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    return [kind, *(found for sub in subs for found in all_classes(sub))]


def test_every_error_can_be_pickled() -> None:
    """An error keeps its attributes when another process gets it."""
    changed = []
    for kind in all_classes(CustomerIOError):
        error = kind("words")
        error.unconfirmed = ({"type": "track"},)
        copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
        if (type(copy), str(copy), vars(copy)) != (kind, "words", vars(error)):
            changed.append(kind)

    assert changed == []


def test_no_answer_can_be_pickled() -> None:
    """Its constructor takes the reason, not the text."""
    copy = pickle.loads(pickle.dumps(NoAnswer("refused")))  # noqa: S301  # our own bytes

    assert (str(copy), copy.reason) == ("no answer: refused", "refused")


def test_docstring_draws_the_tree_of_errors() -> None:
    """Every error of `core`, in any module, with its parent, and no others."""
    assert drawn(errors.__doc__ or "", "CustomerIOError") == declared(core, CustomerIOError)


def test_hosts_are_in_one_module() -> None:
    """Only `core/http/regions.py` contains host names."""
    root = Path(errors.__file__).parent
    sources = {path.name: path.read_text() for path in root.rglob("*.py")}
    with_hosts = {
        name for name, text in sources.items() if "//api.customer" in text or "//cdp" in text
    }

    assert with_hosts == {"regions.py"}
