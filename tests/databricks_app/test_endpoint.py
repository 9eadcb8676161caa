"""The webhook route: every spelling of its path, and what is read of a request in one way."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.endpoint import (
    WEBHOOK_PATH,
    bytes_to_read,
    content_length,
    is_webhook_path,
    signature_headers,
    signature_in_query,
    signature_query,
)
from tests.support.spellings import OTHERS, SPELLINGS, spellings


@pytest.mark.parametrize("target", [WEBHOOK_PATH, *SPELLINGS])
def test_is_webhook_path_takes_a_spelling(target: str) -> None:
    """Slashes, upper case and encoding make no other path."""
    assert is_webhook_path(unquote(target))


@pytest.mark.parametrize("target", ["", *OTHERS])
def test_is_webhook_path_refuses_another_path(target: str) -> None:
    """Dot segments, parameters, white space and what was encoded twice are not resolved."""
    assert not is_webhook_path(unquote(target))


@given(target=spellings())
def test_is_webhook_path_takes_every_spelling(target: str) -> None:
    """However slashes, cases and encoding are mixed."""
    assert is_webhook_path(unquote(target))


@given(
    target=spellings(),
    place=st.floats(0, 1),
    added=st.characters(exclude_characters="/") | st.sampled_from(".;\\ %?#"),
)
def test_one_more_character_is_another_path(target: str, place: float, added: str) -> None:
    """Any but a slash, anywhere."""
    path = unquote(target)
    at = round(place * len(path))

    assert not is_webhook_path(path[:at] + added + path[at:])


@given(path=st.text(alphabet="/apiwebhookscustomerAPI.;%", max_size=40))
def test_another_path_is_not_ours_by_accident(path: str) -> None:
    """Only letters of the path in their order are it, cut at its own slashes."""
    if is_webhook_path(path):
        words = [word for word in path.split("/") if word]
        assert [word.lower() for word in words] == ["api", "webhooks", "customerio"]


def test_signature_headers_are_bytes_as_received() -> None:
    """What WSGI cannot have received makes a header that nothing matches, and no error."""
    environ = {"HTTP_X_CIO_SIGNATURE": "\xe9", "HTTP_X_CIO_TIMESTAMP": "\u0661"}

    assert signature_headers(environ) == (b"\xe9", b"?")
    assert signature_headers({}) == (None, None)


@given(st.binary(max_size=80), st.binary(max_size=20))
def test_a_query_carries_signature_and_timestamp(signature: bytes, timestamp: bytes) -> None:
    """What one side writes the other reads; an empty one is missing."""
    query = signature_query(signature, timestamp)

    assert signature_in_query(query) == (signature or None, timestamp or None)


@pytest.mark.parametrize("query", ["", "&".join("abcdefghi"), "cio_signature=a&cio_signature=b"])
def test_a_query_without_one_signature_has_none(query: str) -> None:
    """None, doubled, or among more parameters than anybody sends."""
    assert signature_in_query(query) == (None, None)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("0", 0),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("", None),
        ("-5", None),
        ("\u0661", None),
    ],
)
def test_content_length_is_a_number_or_unknown(text: str, length: int | None) -> None:
    """One that is no number decides nothing."""
    assert content_length({"CONTENT_LENGTH": text}) == length


@pytest.mark.parametrize(
    ("length", "total", "wanted"), [(None, 50, 10), (100, 50, 10), (55, 50, 5), (50, 50, 0)]
)
def test_no_more_is_asked_for_than_is_to_come(length: int | None, total: int, wanted: int) -> None:
    """A server may wait for the next request's bytes."""
    assert bytes_to_read(length, total, 10) == wanted
