"""What the errors of a warehouse mean, and what an admin is told."""

from __future__ import annotations

import pytest

from databricks_app.lake.refusals import Kind, refusal

# As the vendor's pages and public threads quote them.
CASES = [
    (
        "[DELTA_CONCURRENT_APPEND] ConcurrentAppendException: Files were added to the root of the "
        "table by a concurrent update. SQLSTATE: 2D521",
        Kind.CONFLICT,
    ),
    ("io.delta.exceptions.MetadataChangedException: The metadata has been changed", Kind.CONFLICT),
    ('[CAST_OVERFLOW] The value 9 of the type "BIGINT" SQLSTATE: 22003', Kind.VALUE),
    (
        "[DELTA_NOT_NULL_CONSTRAINT_VIOLATED] NOT NULL constraint violated for column: event_id. "
        "SQLSTATE: 23502",
        Kind.VALUE,
    ),
    ("[SOME_NEW_NAME] a value. SQLSTATE: 22ZZZ", Kind.VALUE),
    ("Invalid SessionHandle: SessionHandle [01f0]", Kind.SESSION),
    ("The session has expired", Kind.SESSION),
    ("[TEMPORARILY_UNAVAILABLE] try again", Kind.BUSY),
    ("SQL warehouse abc is starting", Kind.BUSY),
    ("Too many requests, the queue is full", Kind.BUSY),
    (
        "[TABLE_OR_VIEW_NOT_FOUND] The table or view `x` cannot be found. SQLSTATE: 42P01",
        Kind.ADMIN,
    ),
    ("Invalid access token", Kind.TOKEN),
    ("[INTERNAL_ERROR] A message. SQLSTATE: XX000", Kind.UNKNOWN),
]


@pytest.mark.parametrize(("text", "kind"), CASES, ids=[text[:40] for text, _ in CASES])
def test_an_error_is_known_by_what_it_is_called(text: str, kind: Kind) -> None:
    """Its class or its SQLSTATE."""
    assert refusal(text, "ServerOperationError").kind is kind


def test_the_missing_grant_is_named() -> None:
    """As the statement that an admin runs."""
    text = (
        "[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\nUser does not have MODIFY on Table "
        "'main.cio.webhook_raw_events'. SQLSTATE: 42501"
    )

    found = refusal(text, "ServerOperationError")

    assert found.kind is Kind.ADMIN
    assert "GRANT MODIFY ON TABLE main.cio.webhook_raw_events TO" in found.words


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, Kind.TOKEN, "refuses the token"),
        (403, Kind.ADMIN, "CAN USE on the warehouse"),
        (429, Kind.BUSY, "more to do"),
        (503, Kind.BUSY, "not running yet"),
        (None, Kind.UNREACHABLE, "cannot be reached"),
    ],
)
def test_an_answer_of_the_way_there_is_known_by_its_status(
    status: int | None, kind: Kind, words: str
) -> None:
    """Nothing that was said is needed."""
    found = refusal("Error during request to server", "RequestError", status, is_answer=False)

    assert found.kind is kind
    assert words in found.words


def test_words_show_no_value() -> None:
    """The text of an error may hold a row; its name does not."""
    found = refusal("[NEW_CLASS] ada@example.com is wrong", "ServerOperationError")

    assert found.words == "the warehouse refuses a statement (NEW_CLASS)"
    assert found.name == "NEW_CLASS"
