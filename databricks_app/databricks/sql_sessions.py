"""Statements to a SQL warehouse: sessions that are used again, errors that say what to do.

Every statement of the loader may be run twice, so an answer that was lost is asked for again.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from databricks_app.databricks.call_timeout import CallTimeout, begin
from databricks_app.databricks.sql_errors import ErrorKind, ErrorMeaning, meaning, state_words
from databricks_app.errors import LakeError, ValueRefused

_SESSION_SURVIVES = frozenset(
    {ErrorKind.CONFLICT, ErrorKind.VALUE, ErrorKind.ADMIN, ErrorKind.UNKNOWN}
)
# Errors that the server has said; all others are about the way to it.
_ANSWERS = frozenset({"ServerOperationError", "DatabaseError"})
# A conflict is decided in favour of somebody else, so more than a few mean a second loader.
_TRIES = {
    ErrorKind.CONFLICT: 6,
    ErrorKind.SESSION: 3,
    ErrorKind.UNREACHABLE: 3,
    ErrorKind.BUSY: 2,
    ErrorKind.TOKEN: 2,
}
# Of these an admin hears while it is still tried: they may last.
_OF_THE_WAY = frozenset({ErrorKind.BUSY, ErrorKind.UNREACHABLE})
_PAUSE_SECONDS = 0.25

Rows = list[tuple[Any, ...]]


class Session(Protocol):
    """What is used of a DB-API connection."""

    def cursor(self) -> Any:
        """Return a cursor."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class Unclear(LakeError):  # noqa: N818  # a verdict, caught by the loader
    """A statement fails in a way that no rule of ours knows.

    Attributes:
        name: The error's class as the server names it.
    """

    def __init__(self, words: str, name: str) -> None:
        super().__init__(words)
        self.name = name

    @property
    def log_text(self) -> str:
        """Its text for the log, without the sentence of the server."""
        return (
            f"the warehouse refuses a statement ({self.name}). The query history of the warehouse "
            "shows it."
        )


@dataclass(frozen=True, slots=True)
class StatementResult:
    """Rows of a statement.

    Attributes:
        names: Column names, lower case.
        types: Their types as the server names them.
        rows: The values.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: Rows

    def value(self, name: str) -> Any:
        """The first row's value of a column; None without one."""
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
        """Names it, for people."""
        return f"{self.sql.split(maxsplit=1)[0]} on the warehouse"


@dataclass(slots=True)
class _Work:
    """A statement in another thread, and who keeps its session when it ends."""

    cursor: Any = None
    is_abandoned: bool = False


@dataclass(slots=True)
class Statements:
    """Runs statements; may be used by several threads, each gets a session of its own.

    Attributes:
        connect: Opens a session.
        timeout: Limits of a statement, its session's opening included.
        state: Asks the workspace for the warehouse's state, e.g. `STARTING`; None if it cannot
            be found out.
        renew: Called when the token was refused, before another try.
        pause_seconds: Before the first repetition; each following one is twice as long.
    """

    connect: Callable[[], Session]
    timeout: CallTimeout
    state: Callable[[], str | None] = lambda: None
    renew: Callable[[], None] = lambda: None
    pause_seconds: float = _PAUSE_SECONDS
    _idle: list[Session] = field(default_factory=list, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        rows_at_most: int | None = None,
    ) -> StatementResult:
        """Run a statement that may be run twice.

        Args:
            sql: One statement.
            parameters: Values of its `:name` marks.
            rows_at_most: Rows to fetch; None means all.

        Raises:
            ValueRefused: A value of the rows will never be taken.
            Unclear: It fails and no rule knows why.
            LakeError: The warehouse cannot be used for now; says why.
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
            if found.kind is ErrorKind.TOKEN:
                self.renew()
            if found.kind in _OF_THE_WAY:
                self.timeout.progress(f"{statement.what} is tried again: {found.words}")
            longest = self.pause_seconds * 2**failures
            self.timeout.pause(random.uniform(longest / 2, longest))  # noqa: S311  # no secret

    def close(self) -> None:
        """End the sessions, without waiting for the server."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            begin(lambda session=session: _close(session))  # type: ignore[misc]  # binds each

    def _once(self, statement: _Statement) -> StatementResult:
        work = _Work()

        def give_up() -> None:
            work.is_abandoned = True
            if work.cursor is not None:
                with suppress(Exception):  # the server ends it by itself later
                    work.cursor.cancel()

        def why() -> str:
            return state_words(self.state(), is_slow=True)

        return self.timeout.run(lambda: self._work(work, statement), statement.what, give_up, why)

    def _work(self, work: _Work, statement: _Statement) -> StatementResult:
        """Run a statement in this thread, on a session of its own."""
        session: Session | None = None
        try:
            session = self._session()
            work.cursor = cursor = session.cursor()
            cursor.execute(statement.sql, statement.parameters)
            result = _result(cursor, statement.rows_at_most)
        except Exception as error:  # the connector's own, thrift's, urllib3's
            found = explained(error)
            self._leave(
                session, is_usable=found.kind in _SESSION_SURVIVES and not work.is_abandoned
            )
            raise _Failed(found) from error
        self._leave(session, is_usable=not work.is_abandoned)
        return result

    def _session(self) -> Session:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self.connect()

    def _leave(self, session: Session | None, *, is_usable: bool) -> None:
        if session is None:
            return
        if is_usable:
            with self._lock:
                self._idle.append(session)
        else:
            begin(lambda: _close(session))

    def _error(self, found: ErrorMeaning, failures: int) -> Exception:
        if found.kind is ErrorKind.VALUE:
            return ValueRefused(found.name)
        if found.kind is ErrorKind.CONFLICT:
            return LakeError(
                f"{found.words}, {failures} times in a row. Does another program write into the "
                "tables? Only the receiver may."
            )
        if found.kind is ErrorKind.UNKNOWN:
            return Unclear(
                f"{found.words}. The query history of the warehouse shows it.", found.name
            )
        if found.kind in _OF_THE_WAY and (state := state_words(self._state())):
            return LakeError(f"{found.words}; {state}.")
        return LakeError(f"{found.words}.")

    def _state(self) -> str | None:
        try:
            return self.timeout.run(self.state, "asking for the warehouse's state")
        except LakeError:
            return None


class _Failed(Exception):  # noqa: N818  # carried to the loop of tries
    def __init__(self, found: ErrorMeaning) -> None:
        super().__init__(found.name)
        self.meaning = found


def explained(error: Exception) -> ErrorMeaning:
    """What an error of the connector means."""
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
    with suppress(Exception):  # it may be broken, and ends with its time on the server
        session.close()
