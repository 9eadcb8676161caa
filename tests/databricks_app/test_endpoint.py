"""The webhook route: the spellings of its path, and how a request is read."""

from __future__ import annotations

from urllib.parse import unquote

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


def test_is_webhook_path_accepts_other_spellings() -> None:
    """Extra slashes, upper case and encoding are the same path."""
    refused = [
        target for target in (WEBHOOK_PATH, *SPELLINGS) if not is_webhook_path(unquote(target))
    ]

    assert refused == []


def test_is_webhook_path_refuses_other_paths() -> None:
    """Dot segments, parameters, white space and double encoding are not resolved."""
    accepted = [target for target in ("", *OTHERS) if is_webhook_path(unquote(target))]

    assert accepted == []


@given(target=spellings())
def test_is_webhook_path_accepts_every_mixed_spelling(target: str) -> None:
    """Any mix of slashes, cases and encoding is accepted."""
    assert is_webhook_path(unquote(target))


@given(
    target=spellings(),
    place=st.floats(0, 1),
    added=st.characters(exclude_characters="/") | st.sampled_from(".;\\ %?#"),
)
def test_one_more_character_is_another_path(target: str, place: float, added: str) -> None:
    """Any added character but a slash makes another path."""
    path = unquote(target)
    at = round(place * len(path))

    assert not is_webhook_path(path[:at] + added + path[at:])


@given(path=st.text(alphabet="/apiwebhookscustomerAPI.;%", max_size=40))
def test_a_random_path_is_accepted_only_with_our_three_words(path: str) -> None:
    """Only the words of our path in their order, separated by slashes."""
    if is_webhook_path(path):
        words = [word for word in path.split("/") if word]
        assert [word.lower() for word in words] == ["api", "webhooks", "customerio"]


def test_signature_headers_are_bytes_as_received() -> None:
    """A character that WSGI cannot contain gives a header that never matches, not an error."""
    environ = {"HTTP_X_CIO_SIGNATURE": "\xe9", "HTTP_X_CIO_TIMESTAMP": "\u0661"}

    assert signature_headers(environ) == (b"\xe9", b"?")
    assert signature_headers({}) == (None, None)


@given(st.binary(max_size=80), st.binary(max_size=20))
def test_a_query_carries_signature_and_timestamp(signature: bytes, timestamp: bytes) -> None:
    """`signature_in_query` reads what `signature_query` writes; an empty value is missing."""
    query = signature_query(signature, timestamp)

    assert signature_in_query(query) == (signature or None, timestamp or None)


def test_a_query_without_exactly_one_signature_has_none() -> None:
    """Missing, repeated, or among too many parameters."""
    queries = ("", "&".join("abcdefghi"), "cio_signature=a&cio_signature=b")

    assert {query: signature_in_query(query) for query in queries} == dict.fromkeys(
        queries, (None, None)
    )


def test_content_length_is_a_number_or_unknown() -> None:
    """Any other text is an unknown length."""
    expected = {
        "0": 0,
        "9" * 18: 10**18 - 1,
        "9" * 19: None,
        "": None,
        "-5": None,
        "\u0661": None,
    }

    assert {text: content_length({"CONTENT_LENGTH": text}) for text in expected} == expected


def test_no_more_is_read_than_the_rest_of_the_body() -> None:
    """A server may wait for all bytes of a read."""
    expected = {None: 10, 100: 10, 55: 5, 50: 0}

    assert {length: bytes_to_read(length, 50, 10) for length in expected} == expected
