"""What the errors of a warehouse mean, and what an admin is told."""

from __future__ import annotations

import pytest

from databricks_app.databricks.sql_errors import ErrorKind, meaning, state_words

# As the vendor's pages and public threads quote them.
CASES = [
    (
        "[DELTA_CONCURRENT_APPEND] ConcurrentAppendException: Files were added to the root of the "
        "table by a concurrent update. SQLSTATE: 2D521",
        ErrorKind.CONFLICT,
    ),
    (
        "io.delta.exceptions.MetadataChangedException: The metadata has been changed",
        ErrorKind.CONFLICT,
    ),
    ('[CAST_OVERFLOW] The value 9 of the type "BIGINT" SQLSTATE: 22003', ErrorKind.VALUE),
    (
        "[DELTA_NOT_NULL_CONSTRAINT_VIOLATED] NOT NULL constraint violated for column: event_id. "
        "SQLSTATE: 23502",
        ErrorKind.VALUE,
    ),
    ("[SOME_NEW_NAME] a value. SQLSTATE: 22ZZZ", ErrorKind.VALUE),
    ("Invalid SessionHandle: SessionHandle [01f0]", ErrorKind.SESSION),
    ("The session has expired", ErrorKind.SESSION),
    ("[TEMPORARILY_UNAVAILABLE] try again", ErrorKind.BUSY),
    ("SQL warehouse abc is starting", ErrorKind.BUSY),
    ("Too many requests, the queue is full", ErrorKind.BUSY),
    (
        "[TABLE_OR_VIEW_NOT_FOUND] The table or view `x` cannot be found. SQLSTATE: 42P01",
        ErrorKind.ADMIN,
    ),
    ("Invalid access token", ErrorKind.TOKEN),
    ("[INTERNAL_ERROR] A message. SQLSTATE: XX000", ErrorKind.UNKNOWN),
]


@pytest.mark.parametrize(("text", "kind"), CASES, ids=[text[:40] for text, _ in CASES])
def test_an_error_is_known_by_what_it_is_called(text: str, kind: ErrorKind) -> None:
    """Its class or its SQLSTATE."""
    assert meaning(text, "ServerOperationError").kind is kind


def test_the_missing_grant_is_named() -> None:
    """As the statement that an admin runs."""
    text = (
        "[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\nUser does not have MODIFY on Table "
        "'main.cio.webhook_raw_events'. SQLSTATE: 42501"
    )

    found = meaning(text, "ServerOperationError")

    assert found.kind is ErrorKind.ADMIN
    assert "GRANT MODIFY ON TABLE main.cio.webhook_raw_events TO" in found.words


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, ErrorKind.TOKEN, "refuses the token: check the service principal's credentials"),
        (403, ErrorKind.ADMIN, "give it the permission CAN USE on the warehouse (HTTP 403)"),
        (404, ErrorKind.SESSION, "no such warehouse: set DATABRICKS_WAREHOUSE_ID"),
        (429, ErrorKind.BUSY, "take a larger one (HTTP 429)"),
        (500, ErrorKind.UNREACHABLE, "see the status page of Databricks (HTTP 500)"),
        (503, ErrorKind.BUSY, "not running yet, or cannot be reached (HTTP 503)"),
        (418, ErrorKind.UNREACHABLE, "cannot be reached (RequestError): check DATABRICKS_HOST"),
        (200, ErrorKind.UNREACHABLE, "cannot be reached (RequestError)"),
        (None, ErrorKind.UNREACHABLE, "cannot be reached (RequestError)"),
    ],
)
def test_an_answer_of_the_way_there_is_known_by_its_status(
    status: int | None, kind: ErrorKind, words: str
) -> None:
    """Nothing that was said is needed."""
    found = meaning("Error during request to server", "RequestError", status, is_answer=False)

    assert found.kind is kind
    assert words in found.words


# As urllib3 2 and the connector 4 say it.
WAYS = [
    (
        "Max retries exceeded (Caused by ResponseError('too many 503 error responses'))",
        ErrorKind.BUSY,
        "the warehouse is not running yet, or cannot be reached (HTTP 503)",
    ),
    (
        "Max retries exceeded (Caused by ResponseError('too many 429 error responses'))",
        ErrorKind.BUSY,
        "(HTTP 429)",
    ),
    (
        "Retry request would exceed Retry policy max retry duration of 60 seconds",
        ErrorKind.BUSY,
        "more to do than it takes on",
    ),
    (
        "Max retries exceeded (Caused by ReadTimeoutError('Read timed out. (read timeout=60)'))",
        ErrorKind.UNREACHABLE,
        "the warehouse does not answer in time (MaxRetryError): check",
    ),
    (
        "(Caused by ProtocolError('Connection aborted.', ConnectionResetError(104, 'reset')))",
        ErrorKind.UNREACHABLE,
        "the warehouse cannot be reached, connections break off (MaxRetryError): check",
    ),
]


@pytest.mark.parametrize(("text", "kind", "words"), WAYS, ids=[words for *_, words in WAYS])
def test_what_the_way_there_did_is_known_by_its_text(
    text: str, kind: ErrorKind, words: str
) -> None:
    """A request that was repeated has no status of its own."""
    found = meaning(text, "MaxRetryError", is_answer=False)

    assert found.kind is kind
    assert words in found.words


@pytest.mark.parametrize(
    ("state", "is_slow", "words"),
    [
        (None, True, ""),
        ("RUNNING", False, "its state is RUNNING"),
        (
            "RUNNING",
            True,
            "its state is RUNNING; see its query history, and whether it is too small",
        ),
        ("STARTING", True, "its state is STARTING; wait, that may take minutes"),
        ("STOPPED", False, "its state is STOPPED; start it, if it does not start by itself"),
        ("DELETED", False, "its state is DELETED; set DATABRICKS_WAREHOUSE_ID to another one"),
    ],
)
def test_a_state_comes_with_what_to_do(state: str | None, is_slow: bool, words: str) -> None:
    """One that runs needs a look only where a statement takes long."""
    assert state_words(state, is_slow=is_slow) == words


def test_words_show_no_value() -> None:
    """The text of an error may hold a row; its name does not."""
    found = meaning("[NEW_CLASS] ada@example.com is wrong", "ServerOperationError")

    assert found.words == "the warehouse refuses a statement (NEW_CLASS)"
    assert found.name == "NEW_CLASS"
