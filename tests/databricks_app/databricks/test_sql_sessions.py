"""Statements end, are repeated where that helps, and say what is wrong."""

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
    """Named as the connector's, which the loader knows by its name."""


class RequestError(Exception):
    """The same, of the way to the server."""

    def __init__(self, status: int | None) -> None:
        super().__init__("Error during request to server")
        self.context = {"http-code": status}


class Server:
    """A warehouse that answers with what it is given, in order, and counts.

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
    """Statements to this server, repeated at once."""
    return Statements(server.connect, CallTimeout(**limits), state, pause_seconds=0)


def test_an_answer_has_names_and_values() -> None:
    """Names are lower case."""
    server = Server([(7,)])

    answer = statements(server).run("SELECT 7", {"a": 1})

    assert (answer.names, answer.rows, answer.value("number")) == (("number",), [(7,)], 7)
    assert answer.value("other") is None
    assert server.parameters == [{"a": 1}]


def test_a_session_is_used_again() -> None:
    """Opening one costs more than a statement."""
    server = Server([(1,)], [(2,)])
    run = statements(server)

    run.run("SELECT 1")
    run.run("SELECT 2")

    assert server.opened == 1


def test_a_conflict_is_repeated_and_its_session_kept() -> None:
    """Somebody else was faster; the next try finds what they have written."""
    server = Server(ServerOperationError(CONFLICT), ServerOperationError(CONFLICT), [(3,)])

    assert statements(server).run("MERGE").rows == [(3,)]
    assert server.opened == 1


def test_conflicts_without_end_are_told() -> None:
    """There is a bound, and a hint."""
    server = Server(*(ServerOperationError(CONFLICT) for _ in range(6)))

    with pytest.raises(LakeError, match=r"6 times in a row\. Does another program write"):
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
    """The statement runs again on a new one, for its answer may be all that was lost."""
    server = Server(error, [(1,)])

    assert statements(server).run("MERGE").rows == [(1,)]
    assert server.opened == 2


def test_a_sleeping_warehouse_is_told_with_its_state() -> None:
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
def test_what_may_last_is_told_while_it_is_tried_again(error: Exception, is_told: bool) -> None:
    """The network and a sleeping warehouse; a conflict or a renewed token is no trouble."""
    said: list[str] = []

    statements(Server(error, [(1,)]), progress=said.append).run("MERGE INTO x")

    assert [one.startswith("MERGE on the warehouse is tried again: ") for one in said] == (
        [True] if is_told else []
    )


def test_a_warehouse_that_is_gone_is_told_once_no_session_can_be_had() -> None:
    """An answer that says so may be meant for the session."""
    server = Server(*(RequestError(404) for _ in range(3)))

    with pytest.raises(LakeError, match="there is no such warehouse: set DATABRICKS_WAREHOUSE_ID"):
        statements(server).run("MERGE")

    assert server.opened == 3


def test_a_state_that_cannot_be_told_is_left_out() -> None:
    """The reason counts."""
    server = Server(RequestError(503), RequestError(503))

    def refuse() -> str | None:
        raise LakeError("no")

    with pytest.raises(LakeError, match=r"cannot be reached \(HTTP 503\)\.$"):
        statements(server, refuse).run("MERGE")


def test_a_refused_value_is_a_verdict_on_rows() -> None:
    """It is not repeated."""
    server = Server(ServerOperationError("[CAST_OVERFLOW] SQLSTATE: 22003"))

    with pytest.raises(ValueRefused, match="CAST_OVERFLOW"):
        statements(server).run("MERGE")


def test_an_unknown_error_says_its_name() -> None:
    """And where its text is."""
    server = Server(ServerOperationError("[ODD_THING] ada@example.com"))

    with pytest.raises(Unclear, match=r"\(ODD_THING\).*query history") as caught:
        statements(server).run("MERGE")

    assert caught.value.name == "ODD_THING"


def test_an_unknown_error_is_logged_without_the_servers_sentence() -> None:
    """An admin sees it on the page of `/readyz`; a log line quotes no other program."""
    text = "[PARSE_SYNTAX_ERROR] near ada@example.com. SQLSTATE: 42601"

    with pytest.raises(Unclear, match=r"ada@example\.com") as caught:
        statements(Server(ServerOperationError(text))).run("MERGE")

    assert "PARSE_SYNTAX_ERROR" in caught.value.log_text
    assert "ada@example.com" not in caught.value.log_text


def test_a_hung_statement_is_cancelled_and_ends() -> None:
    """Its session is never used again."""
    release = threading.Event()
    server = Server(lambda: release.wait(20) and [], [(1,)])
    run = statements(server, call_seconds=0.3)

    with pytest.raises(LakeError, match=r"MERGE on the warehouse: abandoned after 0.3 s"):
        run.run("MERGE INTO x")

    assert server.cancelled.wait(10)
    release.set()
    run.run("SELECT 1")
    assert server.opened == 2


def test_a_stop_waits_for_a_statement_no_longer_than_the_grace() -> None:
    """SIGTERM is not held by a warehouse."""
    release, stopping = threading.Event(), threading.Event()
    server = Server(lambda: release.wait(20) and [])
    stopping.set()

    with pytest.raises(LakeError, match="because the process is stopping"):
        statements(server, stopping=stopping, grace_seconds=0.2).run("MERGE INTO x")
    release.set()


def test_a_stop_ends_the_repetitions() -> None:
    """What fails now is left to the next start."""
    stopping = threading.Event()
    stopping.set()
    server = Server(ServerOperationError(CONFLICT))

    with pytest.raises(LakeError, match="1 times"):
        statements(server, stopping=stopping).run("MERGE")


def test_a_long_call_is_told_of_while_it_lasts() -> None:
    """The page shows that it is being waited for."""
    said: list[str] = []
    now = iter(range(0, 1000, 6))
    timeout = CallTimeout(
        call_seconds=30,
        progress=said.append,
        monotonic=lambda: timedelta(seconds=next(now)).seconds,
    )

    with pytest.raises(LakeError):
        timeout.run(lambda: threading.Event().wait(2), "MERGE")

    assert said[0] == "MERGE has taken 12 s so far"


def test_why_a_call_takes_long_is_told_as_soon_as_it_is_known() -> None:
    """It is asked in a thread of its own, and stands in the error too."""
    said: list[str] = []
    now = iter(range(0, 1000, 6))
    timeout = CallTimeout(call_seconds=60, progress=said.append, monotonic=lambda: float(next(now)))

    with pytest.raises(LakeError, match=r"MERGE: abandoned after 60 s: the warehouse starts\."):
        timeout.run(lambda: threading.Event().wait(4), "MERGE", why=lambda: "the warehouse starts")

    assert said[0].startswith("MERGE has taken 12 s so far")
    assert said[1].endswith("s so far: the warehouse starts")
    # Told again every ten seconds, and not at every look.
    assert len(said) <= 6


def test_a_slow_statement_is_told_with_the_warehouse_s_state() -> None:
    """One that runs is busy or too small."""
    said: list[str] = []
    now = iter(range(0, 1000, 6))
    release = threading.Event()
    server = Server(lambda: release.wait(20) and [])
    limits = {"call_seconds": 60, "progress": said.append, "monotonic": lambda: float(next(now))}

    with pytest.raises(LakeError, match="see its query history, and whether it is too small"):
        statements(server, lambda: "RUNNING", **limits).run("MERGE INTO x")
    release.set()

    assert any("so far: its state is RUNNING; see its query history" in one for one in said)


def test_close_ends_the_sessions() -> None:
    """Without waiting for the server."""
    closed = threading.Event()
    server = Server([(1,)])
    server.close = closed.set  # type: ignore[method-assign]  # the double's own
    run = statements(server)
    run.run("SELECT 1")

    run.close()

    assert closed.wait(10)
