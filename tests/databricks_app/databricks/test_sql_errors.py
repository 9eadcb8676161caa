"""What the errors of a warehouse mean, and which text an admin gets."""

from __future__ import annotations

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


def test_an_error_has_the_kind_of_its_name() -> None:
    """By its class, its SQLSTATE or its words."""
    found = {text: meaning(text, "ServerOperationError").kind for text, _ in CASES}

    assert found == dict(CASES)


def test_the_text_has_the_missing_grant() -> None:
    """As the statement that an admin runs."""
    text = (
        "[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\nUser does not have MODIFY on Table "
        "'main.cio.webhook_raw_events'. SQLSTATE: 42501"
    )

    found = meaning(text, "ServerOperationError")

    assert found.kind is ErrorKind.ADMIN
    assert "GRANT MODIFY ON TABLE main.cio.webhook_raw_events TO" in found.words


# The kind, and the key words of the text, by HTTP status.
STATUSES = {
    401: (ErrorKind.TOKEN, "DATABRICKS_CLIENT_ID"),
    403: (ErrorKind.FORBIDDEN, "CAN USE on the warehouse (HTTP 403)"),
    404: (ErrorKind.SESSION, "DATABRICKS_WAREHOUSE_ID"),
    429: (ErrorKind.BUSY, "(HTTP 429)"),
    500: (ErrorKind.UNREACHABLE, "status page of Databricks (HTTP 500)"),
    503: (ErrorKind.BUSY, "(HTTP 503)"),
    418: (ErrorKind.UNREACHABLE, "(RequestError): check DATABRICKS_HOST"),
    200: (ErrorKind.UNREACHABLE, "(RequestError)"),
    None: (ErrorKind.UNREACHABLE, "(RequestError)"),
}


def test_an_answer_of_the_workspace_has_the_kind_of_its_status() -> None:
    """Without the warehouse's text."""
    wrong = {}
    for status, (kind, words) in STATUSES.items():
        found = meaning("Error during request to server", "RequestError", status, is_answer=False)
        if found.kind is not kind or words not in found.words:
            wrong[status] = found

    assert wrong == {}


# Texts of urllib3 2 and of the connector 4.
NETWORK_ERRORS = [
    (
        "Max retries exceeded (Caused by ResponseError('too many 503 error responses'))",
        ErrorKind.BUSY,
        "(HTTP 503)",
    ),
    (
        "Max retries exceeded (Caused by ResponseError('too many 429 error responses'))",
        ErrorKind.BUSY,
        "(HTTP 429)",
    ),
    (
        "Retry request would exceed Retry policy max retry duration of 60 seconds",
        ErrorKind.BUSY,
        "overloaded",
    ),
    (
        "Max retries exceeded (Caused by ReadTimeoutError('Read timed out. (read timeout=60)'))",
        ErrorKind.UNREACHABLE,
        "in time (MaxRetryError): check",
    ),
    (
        "(Caused by ProtocolError('Connection aborted.', ConnectionResetError(104, 'reset')))",
        ErrorKind.UNREACHABLE,
        "interrupted (MaxRetryError): check",
    ),
]


def test_a_network_error_has_the_kind_of_its_text() -> None:
    """The status of a repeated request is only in the text."""
    wrong = {}
    for text, kind, words in NETWORK_ERRORS:
        found = meaning(text, "MaxRetryError", is_answer=False)
        if found.kind is not kind or words not in found.words:
            wrong[text] = found

    assert wrong == {}


def test_a_state_has_advice() -> None:
    """`RUNNING` has advice only if a statement takes long."""
    expected = {
        ("RUNNING", True): "query history",
        ("STARTING", True): "wait",
        ("STOPPED", False): "start it",
        ("DELETED", False): "set DATABRICKS_WAREHOUSE_ID",
    }

    found = {case: state_words(case[0], is_slow=case[1]) for case in expected}

    assert [
        case
        for case, words in expected.items()
        if not found[case].startswith(f"its state is {case[0]}; ") or words not in found[case]
    ] == []
    assert state_words("RUNNING") == "its state is RUNNING"
    assert state_words(None, is_slow=True) == ""


def test_the_text_shows_no_value() -> None:
    """The text of an error may contain a row; its name does not."""
    found = meaning("[NEW_CLASS] ada@example.com is wrong", "ServerOperationError")

    assert found.words == "the warehouse refuses a statement (NEW_CLASS)"
    assert found.name == "NEW_CLASS"
