"""Runs statements on a SQL warehouse: reuses sessions, retries, and explains errors.

Every statement of the loader can safely run twice. So a statement whose answer was lost is run
again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from databricks_app.databricks.call_timeout import CallTimeout, begin
from databricks_app.databricks.sql_errors import ErrorKind, ErrorMeaning, meaning, state_words
from databricks_app.errors import LakeError, ValueRefused

# After these errors the session can be reused: the warehouse has answered.
_SESSION_SURVIVES = frozenset(
    {ErrorKind.CONFLICT, ErrorKind.VALUE, ErrorKind.ADMIN, ErrorKind.UNKNOWN}
)
# The connector's exceptions for errors of the server; all others are about the network.
_ANSWERS = frozenset({"ServerOperationError", "DatabaseError"})
# In a conflict another writer wins. Many conflicts in a row mean that there is a second loader.
_TRIES = {
    ErrorKind.CONFLICT: 6,
    ErrorKind.SESSION: 3,
    ErrorKind.UNREACHABLE: 3,
    ErrorKind.BUSY: 2,
    ErrorKind.TOKEN: 2,
    ErrorKind.FORBIDDEN: 2,
}
# These may last long, so they are reported before the last try has failed.
_MAY_LAST = frozenset({ErrorKind.BUSY, ErrorKind.UNREACHABLE})
_ABOUT_TOKEN = frozenset({ErrorKind.TOKEN, ErrorKind.FORBIDDEN})
_PAUSE_SECONDS = 0.25

Rows = list[tuple[Any, ...]]


class Session(Protocol):
    """The part of a DB-API connection that is used."""

    def cursor(self) -> Any:
        """Return a cursor."""
        ...

    def close(self) -> None:
        """Close the session."""
        ...


class Unclear(LakeError):  # noqa: N818  # the loader catches it
    """A statement failed with an unknown error.

    Attributes:
        name: The error class of the server.
    """

    def __init__(self, words: str, name: str) -> None:
        super().__init__(words)
        self.name = name

    @property
    def log_text(self) -> str:
        """Text for the log, without the text of the server."""
        return (
            f"the warehouse refuses a statement ({self.name}). The query history of the warehouse "
            "shows it."
        )


@dataclass(frozen=True, slots=True)
class StatementResult:
    """The result of a statement.

    Attributes:
        names: Column names, lower case.
        types: Column types as the server names them.
        rows: The rows.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: Rows

    def value(self, name: str) -> Any:
        """Return the value of a column in the first row; None if there is none."""
        if not self.rows or name not in self.names:
            return None
        return self.rows[0][self.names.index(name)]


@dataclass(frozen=True, slots=True)
class _Statement:
    sql: str
    parameters: dict[str, object] | None
    rows_at_most: int | None

    @property
    def what(self) -> str:
        """Name of the statement for messages."""
        return f"{self.sql.split(maxsplit=1)[0]} on the warehouse"


@dataclass(slots=True)
class _Work:
    """A statement that runs in another thread.

    Attributes:
        cursor: The cursor, once it is open.
        is_abandoned: Whether nobody waits for the result: then the session is not reused.
    """

    cursor: Any = None
    is_abandoned: bool = False


@dataclass(slots=True)
class Statements:
    """Runs statements. Threads may share one: each statement gets its own session.

    Attributes:
        connect: Opens a session.
        timeout: Limits of a statement, including the opening of its session.
        state: Asks the workspace for the warehouse's state, e.g. `STARTING`; None if unknown.
        renew: Called before another try if the token was refused, or with False if it may have
            been.
        pause_seconds: Pause before the first retry; each further pause is twice as long.
        around: Entered for each try, also of a statement that fails: it may wake the warehouse.
    """

    connect: Callable[[], Session]
    timeout: CallTimeout
    state: Callable[[], str | None] = lambda: None
    renew: Callable[[bool], None] = lambda _is_certain: None
    pause_seconds: float = _PAUSE_SECONDS
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    _idle: list[Session] = field(default_factory=list, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        rows_at_most: int | None = None,
    ) -> StatementResult:
        """Run a statement that can safely run twice.

        Args:
            sql: One statement.
            parameters: Values of its `:name` parameters.
            rows_at_most: Most rows to fetch; None means all.

        Raises:
            ValueRefused: The warehouse refuses a value of the rows, and would refuse it again.
            Unclear: It failed with an unknown error.
            LakeError: The warehouse cannot be used now; the text says why.
        """
        statement = _Statement(sql, dict(parameters) if parameters else None, rows_at_most)
        failures = 0
        while True:
            try:
                return self._once(statement)
            except _Failed as failed:
                failures += 1
                found = failed.meaning
            if failures >= _TRIES.get(found.kind, 1) or self.timeout.stopping.is_set():
                raise self._error(found, failures)
            if found.kind in _ABOUT_TOKEN:
                self.renew(found.kind is ErrorKind.TOKEN)
            if found.kind in _MAY_LAST:
                self.timeout.progress(f"{statement.what} is tried again: {found.words}")
            # Random, so that threads that failed together do not retry together.
            longest = self.pause_seconds * 2**failures
            self.timeout.pause(random.uniform(longest / 2, longest))  # noqa: S311  # no secret

    def close(self) -> None:
        """Close the sessions without waiting for the server."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            begin(partial(_close, session))

    def _once(self, statement: _Statement) -> StatementResult:
        work = _Work()

        def give_up() -> None:
            work.is_abandoned = True
            if work.cursor is not None:
                with suppress(Exception):  # the server's STATEMENT_TIMEOUT ends it anyway
                    work.cursor.cancel()

        def why() -> str:
            return state_words(self.state(), is_slow=True)

        with self.around():
            return self.timeout.run(
                lambda: self._work(work, statement), statement.what, give_up, why
            )

    def _work(self, work: _Work, statement: _Statement) -> StatementResult:
        """Run a statement in this thread, on its own session."""
        session: Session | None = None
        try:
            with self._lock:
                session = self._idle.pop() if self._idle else None
            if session is None:
                session = self.connect()
            work.cursor = cursor = session.cursor()
            cursor.execute(statement.sql, statement.parameters)
            result = _result(cursor, statement.rows_at_most)
        except Exception as error:  # exceptions of the connector, of thrift and of urllib3
            found = explained(error)
            self._give_back(
                session, is_usable=found.kind in _SESSION_SURVIVES and not work.is_abandoned
            )
            raise _Failed(found) from error
        self._give_back(session, is_usable=not work.is_abandoned)
        return result

    def _give_back(self, session: Session | None, *, is_usable: bool) -> None:
        if session is None:
            return
        if is_usable:
            with self._lock:
                self._idle.append(session)
        else:
            begin(partial(_close, session))

    def _error(self, found: ErrorMeaning, failures: int) -> Exception:
        if found.kind is ErrorKind.VALUE:
            return ValueRefused(found.name)
        if found.kind is ErrorKind.CONFLICT:
            return LakeError(
                f"{found.words}, {failures} times in a row. Check whether another program writes "
                "into the tables: only the receiver may."
            )
        if found.kind is ErrorKind.UNKNOWN:
            return Unclear(
                f"{found.words}. The query history of the warehouse shows it.", found.name
            )
        state = ""
        if found.kind in _MAY_LAST:
            with suppress(LakeError):
                state = state_words(self.timeout.run(self.state, "the call for its state"))
        return LakeError(f"{found.words}; {state}." if state else f"{found.words}.")


class _Failed(Exception):  # noqa: N818  # `run` catches it and may retry
    def __init__(self, found: ErrorMeaning) -> None:
        super().__init__(found.name)
        self.meaning = found


def explained(error: Exception) -> ErrorMeaning:
    """Return the meaning of an error of the connector."""
    if isinstance(error, LakeError):
        return ErrorMeaning(ErrorKind.ADMIN, type(error).__name__, str(error).rstrip("."))
    context = getattr(error, "context", None) or {}
    status = context.get("http-code")
    text = " ".join(str(part) for part in (error, context.get("error-message")) if part)
    kind = type(error).__name__
    return meaning(
        text, kind, status if isinstance(status, int) else None, is_answer=kind in _ANSWERS
    )


def _result(cursor: Any, rows_at_most: int | None) -> StatementResult:
    described = cursor.description or []
    fetch = cursor.fetchall if rows_at_most is None else partial(cursor.fetchmany, rows_at_most)
    return StatementResult(
        names=tuple(column[0].lower() for column in described),
        types=tuple(str(column[1]) for column in described),
        rows=[tuple(row) for row in fetch()] if described else [],
    )


def _close(session: Session) -> None:
    with suppress(Exception):  # the connection may be broken; the server closes idle sessions
        session.close()
