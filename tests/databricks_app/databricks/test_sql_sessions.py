"""Statements end, are repeated if that helps, and fail with a text that says what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from databricks_app.databricks.call_timeout import CallTimeout
from databricks_app.databricks.sql_sessions import Statements, Unclear
from databricks_app.errors import LakeError, ValueRefused

CONFLICT = "[DELTA_CONCURRENT_APPEND] SQLSTATE: 2D521"


class ServerOperationError(Exception):
    """Has the name of the connector's exception, by which the loader recognizes it."""


class RequestError(Exception):
    """Has the name of the connector's exception for network errors."""

    def __init__(self, status: int | None) -> None:
        super().__init__("Error during request to server")
        self.context = {"http-code": status}


class Server:
    """A warehouse that gives prepared answers in order, and counts calls.

    Attributes:
        answers: An error to raise, or the rows.
        opened: Sessions opened.
        closed: Sessions closed.
        cancelled: Set when a statement is cancelled.
    """

    description = (("Number", "int"),)

    def __init__(self, *answers: Any) -> None:
        self.answers: Iterator[Any] = iter(answers)
        self.opened = self.closed = 0
        self.cancelled = threading.Event()
        self.parameters: list[object] = []

    def connect(self) -> Server:
        """Open a session."""
        self.opened += 1
        return self

    def cursor(self) -> Server:
        """One cursor is enough."""
        return self

    def execute(self, _sql: str, parameters: object = None) -> None:
        """Answer."""
        self.parameters.append(parameters)
        self.answer = next(self.answers)
        if callable(self.answer):
            self.answer = self.answer()
        if isinstance(self.answer, Exception):
            raise self.answer

    def fetchall(self) -> list[tuple[object, ...]]:
        """Return the rows."""
        rows: list[tuple[object, ...]] = self.answer
        return rows

    def cancel(self) -> None:
        """Note it."""
        self.cancelled.set()

    def close(self) -> None:
        """Count it."""
        self.closed += 1


def statements(server: Server, state: Callable[[], str | None] = str, **limits: Any) -> Statements:
    """Statements to this server, with short pauses between tries."""
    return Statements(server.connect, CallTimeout(**limits), state, pause_seconds=0)


def test_an_answer_has_names_and_values() -> None:
    """Names are lower case."""
    server = Server([(7,)])

    answer = statements(server).run("SELECT 7", {"a": 1})

    assert (answer.names, answer.rows, answer.value("number")) == (("number",), [(7,)], 7)
    assert answer.value("other") is None
    assert server.parameters == [{"a": 1}]


def test_a_session_is_reused() -> None:
    """Opening a session costs more than a statement."""
    server = Server([(1,)], [(2,)])
    run = statements(server)

    run.run("SELECT 1")
    run.run("SELECT 2")

    assert server.opened == 1


def test_a_conflict_is_repeated_and_its_session_kept() -> None:
    """Another writer was faster; the next try sees its rows."""
    server = Server(ServerOperationError(CONFLICT), ServerOperationError(CONFLICT), [(3,)])

    assert statements(server).run("MERGE").rows == [(3,)]
    assert server.opened == 1


def test_repeated_conflicts_are_an_error_with_a_hint() -> None:
    """After six tries."""
    server = Server(*(ServerOperationError(CONFLICT) for _ in range(6)))

    with pytest.raises(LakeError, match=r"6 times in a row\. Check whether another program writes"):
        statements(server).run("MERGE")


@pytest.mark.parametrize(
    "error",
    [
        ServerOperationError("Invalid SessionHandle"),
        RequestError(404),
        RequestError(None),
        OSError("reset"),
    ],
)
def test_a_broken_session_is_replaced(error: Exception) -> None:
    """The statement runs again on a new session: perhaps only its answer was lost."""
    server = Server(error, [(1,)])

    assert statements(server).run("MERGE").rows == [(1,)]
    assert server.opened == 2


def test_the_error_of_a_stopped_warehouse_has_its_state() -> None:
    """The admin sees that it starts."""
    server = Server(RequestError(503), RequestError(503))

    with pytest.raises(LakeError, match=r"not running yet.*its state is STARTING"):
        statements(server, lambda: "STARTING").run("MERGE")


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (RequestError(503), True),
        (RequestError(429), True),
        (OSError("reset"), True),
        (RequestError(401), False),
        (ServerOperationError(CONFLICT), False),
        (ServerOperationError("Invalid SessionHandle"), False),
    ],
)
def test_faults_that_may_last_are_reported_before_the_last_try(
    error: Exception, is_told: bool
) -> None:
    """Network faults and a busy warehouse; not a conflict or a renewed token."""
    messages: list[str] = []

    statements(Server(error, [(1,)]), progress=messages.append).run("MERGE INTO x")

    assert [one.startswith("MERGE on the warehouse is tried again: ") for one in messages] == (
        [True] if is_told else []
    )


def test_a_deleted_warehouse_is_an_error_after_new_sessions_fail() -> None:
    """The same answer may mean only that the session has ended."""
    server = Server(*(RequestError(404) for _ in range(3)))

    with pytest.raises(LakeError, match="there is no such warehouse: set DATABRICKS_WAREHOUSE_ID"):
        statements(server).run("MERGE")

    assert server.opened == 3


def test_a_statement_renews_the_token_after_401_and_403() -> None:
    """After 401 for certain; a 403 without words may be about the token."""
    renewed: list[bool] = []
    server = Server(RequestError(401), [(1,)], RequestError(403), [(1,)])
    running = Statements(server.connect, CallTimeout(), renew=renewed.append, pause_seconds=0)

    running.run("MERGE")
    running.run("MERGE")

    assert renewed == [True, False]


def test_a_403_with_every_token_is_a_missing_permission() -> None:
    """The text says which."""
    server = Server(RequestError(403), RequestError(403))

    with pytest.raises(LakeError, match="CAN USE on the warehouse"):
        statements(server).run("MERGE")


def test_an_unknown_state_is_left_out() -> None:
    """The error still has its reason."""
    server = Server(RequestError(503), RequestError(503))

    def refuse() -> str | None:
        raise LakeError("no")

    with pytest.raises(LakeError, match=r"cannot be reached \(HTTP 503\)\.$"):
        statements(server, refuse).run("MERGE")


def test_a_refused_value_raises_value_refused() -> None:
    """It is not repeated."""
    server = Server(ServerOperationError("[CAST_OVERFLOW] SQLSTATE: 22003"))

    with pytest.raises(ValueRefused, match="CAST_OVERFLOW"):
        statements(server).run("MERGE")


def test_an_unknown_error_has_its_name() -> None:
    """And says where its text is."""
    server = Server(ServerOperationError("[ODD_THING] ada@example.com"))

    with pytest.raises(Unclear, match=r"\(ODD_THING\).*query history") as caught:
        statements(server).run("MERGE")

    assert caught.value.name == "ODD_THING"


def test_an_unknown_error_is_logged_without_the_servers_text() -> None:
    """`/readyz` shows the text to an admin; a log line quotes no other program."""
    text = "[PARSE_SYNTAX_ERROR] near ada@example.com. SQLSTATE: 42601"

    with pytest.raises(Unclear, match=r"ada@example\.com") as caught:
        statements(Server(ServerOperationError(text))).run("MERGE")

    assert "PARSE_SYNTAX_ERROR" in caught.value.log_text
    assert "ada@example.com" not in caught.value.log_text


def test_a_hung_statement_is_cancelled_and_ends() -> None:
    """Its session is not used again."""
    release = threading.Event()
    server = Server(lambda: release.wait(20) and [], [(1,)])
    run = statements(server, call_seconds=0.3)

    with pytest.raises(LakeError, match=r"MERGE on the warehouse: abandoned after 0.3 s"):
        run.run("MERGE INTO x")

    assert server.cancelled.wait(10)
    release.set()
    run.run("SELECT 1")
    assert server.opened == 2


def test_a_stop_waits_for_a_statement_only_for_the_grace_seconds() -> None:
    """A warehouse does not delay SIGTERM."""
    release, stopping = threading.Event(), threading.Event()
    server = Server(lambda: release.wait(20) and [])
    stopping.set()

    with pytest.raises(LakeError, match="because the process is stopping"):
        statements(server, stopping=stopping, grace_seconds=0.2).run("MERGE INTO x")
    release.set()


def test_a_stop_ends_the_retries() -> None:
    """The next start repeats the load."""
    stopping = threading.Event()
    stopping.set()
    server = Server(ServerOperationError(CONFLICT))

    with pytest.raises(LakeError, match="1 times"):
        statements(server, stopping=stopping).run("MERGE")


def test_a_long_call_sends_progress_messages() -> None:
    """`/readyz` shows that the loader waits."""
    messages: list[str] = []
    now = iter(range(0, 1000, 6))
    timeout = CallTimeout(
        call_seconds=30,
        progress=messages.append,
        monotonic=lambda: timedelta(seconds=next(now)).seconds,
    )

    with pytest.raises(LakeError):
        timeout.run(lambda: threading.Event().wait(2), "MERGE")

    assert messages[0] == "MERGE has taken 12 s so far"


def test_the_reason_of_a_long_call_is_reported_when_it_is_known() -> None:
    """It is asked in another thread, and is in the error too."""
    messages: list[str] = []
    now = iter(range(0, 1000, 6))
    timeout = CallTimeout(
        call_seconds=60, progress=messages.append, monotonic=lambda: float(next(now))
    )

    with pytest.raises(LakeError, match=r"MERGE: abandoned after 60 s: the warehouse starts\."):
        timeout.run(lambda: threading.Event().wait(4), "MERGE", why=lambda: "the warehouse starts")

    assert messages[0].startswith("MERGE has taken 12 s so far")
    assert messages[1].endswith("s so far: the warehouse starts")
    # Reported every ten seconds, not at every check.
    assert len(messages) <= 6


def test_the_report_of_a_slow_statement_has_the_warehouses_state() -> None:
    """A running warehouse is busy or too small."""
    messages: list[str] = []
    now = iter(range(0, 1000, 6))
    release = threading.Event()
    server = Server(lambda: release.wait(20) and [])
    limits = {
        "call_seconds": 60,
        "progress": messages.append,
        "monotonic": lambda: float(next(now)),
    }

    with pytest.raises(
        LakeError, match="look at its query history, and check whether it is too small"
    ):
        statements(server, lambda: "RUNNING", **limits).run("MERGE INTO x")
    release.set()

    assert any("so far: its state is RUNNING; look at its query history" in one for one in messages)


def test_close_ends_the_sessions() -> None:
    """Without waiting for the server."""
    closed = threading.Event()
    server = Server([(1,)])
    server.close = closed.set  # type: ignore[method-assign]  # the double's own
    run = statements(server)
    run.run("SELECT 1")

    run.close()

    assert closed.wait(10)
