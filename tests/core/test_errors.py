"""What a failure tells: the vendor's words in every shape, and nothing personal in its text."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
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
    """Make an answer; a body that is no bytes is encoded, `_` in header names is `-`."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, data)


def error_of(response: Response) -> ApiError:
    """Make the error of an answer to the second attempt of `track`."""
    return from_response(response, operation="track", attempts=2, now=NOW)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (303, errors.RedirectError),
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (403, errors.ForbiddenError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (413, errors.ContentTooLargeError),
        (418, errors.ApiError),
        (422, errors.UnprocessableError),
        (429, errors.RateLimitError),
        (500, errors.ServerError),
        (524, errors.ServerError),
    ],
)
def test_from_response_has_one_class_a_status(status: int, kind: type[ApiError]) -> None:
    """The class of an error is its status, and it carries the facts."""
    error = error_of(answer(status, {}, x_request_id="req-1", retry_after="7"))

    assert type(error) is kind
    assert (error.status, error.operation, error.attempts) == (status, "track", 2)
    assert (error.request_id, error.retry_after_seconds) == ("req-1", 7.0)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
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
    ],
)
def test_vendor_messages_reads_every_shape(body: object, expected: tuple[str, ...]) -> None:
    """The vendor's words are found whichever shape they come in, and absent words are no fault."""
    assert vendor_messages(answer(400, body)) == expected


def test_error_keeps_the_vendors_words_out_of_its_text_where_they_are_personal() -> None:
    """The attribute holds the words as sent; `str` and `repr` show no e-mail address."""
    words = "person ada.l+x@example.com (ada%40example.com) unknown"

    error = error_of(answer(404, {"errors": [{"detail": words}]}))

    assert error.vendor_message == words
    assert "unknown" in str(error)
    assert "example.com" not in str(error) + repr(error)


def test_error_shows_nothing_of_an_answer_that_is_not_json() -> None:
    """A proxy's page may echo the request: it is an attribute, never the text."""
    error = error_of(answer(502, b"<html>you sent secret-body</html>"))

    assert "secret-body" in error.body
    assert "secret-body" not in str(error) + repr(error)
    assert error.vendor_message is None


def test_error_holds_no_key_that_the_server_echoes() -> None:
    """The key is taken out of the server's words before anyone can see them."""
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
    """Whatever stands before it, an address does not survive."""
    text = redacted(f"{before} {address} after")

    assert address not in text
    assert text.endswith("after")


def test_redacted_is_bounded() -> None:
    """A megabyte without a blank neither takes long nor fills the log."""
    assert len(redacted("a" * 1_000_000)) == 500


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("12", 12.0),
        ("1.5", 1.5),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 12:01:30 -0000", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("-3", None),
        ("soon", None),
        ("9" * 400, None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Both forms are read; a date gone by is now; anything else is absent."""
    assert retry_after_seconds(answer(429, retry_after=value), NOW) == seconds


def test_outcome_is_unknown_after_a_server_error_or_a_408() -> None:
    """What the vendor refused was not done; of the rest nobody knows."""
    unknown = [
        s for s in (400, 404, 408, 422, 429, 500, 503) if error_of(answer(s)).is_outcome_unknown
    ]

    assert unknown == [408, 500, 503]


def all_classes(kind: type[CustomerIOError]) -> list[type[CustomerIOError]]:
    """List a class and all below it."""
    subs = [sub for sub in kind.__subclasses__() if sub.__module__ == errors.__name__]
    return [kind, *(found for sub in subs for found in all_classes(sub))]


@pytest.mark.parametrize("kind", all_classes(CustomerIOError))
def test_every_error_can_be_pickled(kind: type[CustomerIOError]) -> None:
    """Errors cross processes with their facts."""
    error = kind("words")
    error.unconfirmed = ({"type": "track"},)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes

    assert (type(copy), str(copy), vars(copy)) == (kind, "words", vars(error))


def test_an_outcome_of_the_sender_can_be_pickled() -> None:
    """It is made of its reason, not of its text."""
    copy = pickle.loads(pickle.dumps(NoAnswer("refused")))  # noqa: S301  # our own bytes

    assert (str(copy), copy.reason) == ("no answer: refused", "refused")


def test_the_drawing_is_the_tree() -> None:
    """Every error of `core`, wherever it is declared, with its parent and nothing else."""
    assert drawn(errors.__doc__ or "", "CustomerIOError") == declared(core, CustomerIOError)


def test_hosts_stand_in_one_module() -> None:
    """A host is written in `core/http/regions.py` and nowhere else in `core`."""
    root = Path(errors.__file__).parent
    sources = {path.name: path.read_text() for path in root.rglob("*.py")}
    with_hosts = {
        name for name, text in sources.items() if "//api.customer" in text or "//cdp" in text
    }

    assert with_hosts == {"regions.py"}
