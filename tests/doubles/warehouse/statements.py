"""The engine: runs one statement in a session.

Not simulated: multi-statement transactions, variables, functions and procedures, query queues,
result caching, costs. An unknown statement fails with `DOUBLE_UNSUPPORTED` and its text.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from tests.doubles.messages import Refused
from tests.doubles.warehouse import definitions, listings, writes
from tests.doubles.warehouse.delta import Delta
from tests.doubles.warehouse.failures import (
    InjectedFailure,
    SqlFailure,
    missing_table,
    unknown_statement,
)
from tests.doubles.warehouse.queries import Parameter, Query, Session, bind, parse
from tests.doubles.workspace.metastore import Securable

if TYPE_CHECKING:
    from tests.doubles.workspace.metastore import Name
    from tests.doubles.workspace.state import Workspace

_NAME = r"((?:`[^`]+`|\w+)(?:\.(?:`[^`]+`|\w+))*)"
_SHOW = re.compile(
    rf"SHOW\s+(TABLES|VIEWS|SCHEMAS|DATABASES|CATALOGS|VOLUMES)(?:\s+(?:IN|FROM)\s+{_NAME})?", re.I
)
_SHOW_PROPERTIES = re.compile(rf"SHOW\s+TBLPROPERTIES\s+{_NAME}", re.I)
_SHOW_GRANTS = re.compile(rf"SHOW\s+GRANTS\s+(?:(`[^`]+`)\s+)?ON\s+(\w+)\s+{_NAME}", re.I)
_CREATE_CATALOG = re.compile(rf"CREATE\s+CATALOG\s+(IF\s+NOT\s+EXISTS\s+)?{_NAME}", re.I)
_CREATE_VOLUME = re.compile(
    rf"CREATE\s+VOLUME\s+(IF\s+NOT\s+EXISTS\s+)?{_NAME}(?:\s+COMMENT\s+'([^']*)')?", re.I
)
_DROP_VOLUME = re.compile(rf"DROP\s+VOLUME\s+(IF\s+EXISTS\s+)?{_NAME}", re.I)
_MAINTENANCE = re.compile(
    rf"(OPTIMIZE|VACUUM|ANALYZE\s+TABLE)\s+{_NAME}(\s+FULL|\s+RETAIN\s+\d+\s+HOURS)?", re.I
)


class Engine:
    """Runs statements over the tables of a workspace. Safe to share between threads.

    Attributes:
        workspace: The workspace that has the tables.
        pool: The threads in which statements run.
        received: The text of every statement, in order of arrival.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.received: list[str] = []
        self.pool = ThreadPoolExecutor(64, thread_name_prefix="statement")
        self._deltas: dict[Name, Delta] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Start no further statement, and cancel those that have not started."""
        self.pool.shutdown(wait=False, cancel_futures=True)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """For tests: run a statement without faults and counters, and return its rows.

        Raises:
            SqlFailure: The statement fails.
        """
        rows: list[dict[str, Any]] = self._run(sql, Session(), []).to_pylist()
        return rows

    def run(self, sql: str, session: Session, parameters: list[Parameter]) -> pa.Table:
        """Run a statement with the faults that are set, and count it by its first word.

        Raises:
            SqlFailure: The statement or a fault fails it.
        """
        switches = self.workspace.switches
        self.received.append(sql)
        word = "statement." + (_plain(sql).split(maxsplit=1) or [""])[0].upper()
        switches.count(word)
        try:
            for fault in switches.statement(sql, ("statement_slow",)):
                switches.wait(fault.seconds)
            for fault in switches.statement(sql, ("statement_fails",)):
                raise InjectedFailure(fault.text)
            rows = self._run(sql, session, parameters)
            for fault in switches.statement(sql, ("statement_fails_after",)):
                raise InjectedFailure(fault.text)
        except SqlFailure:
            switches.count(word, is_failed=True)
            raise
        return rows

    def overlap(self, sql: str) -> None:
        """Called by a write between its snapshot and its commit; waits if a fault says so."""
        for fault in self.workspace.switches.statement(sql, ("overlap",)):
            self.workspace.switches.overlap(fault)

    def delta(self, securable: Securable) -> Delta:
        """Return the Delta table of a securable."""
        with self._lock:
            if securable.name not in self._deltas:
                folder = self.workspace.catalog.table_dir(securable.name)
                self._deltas[securable.name] = Delta(
                    folder, securable.full_name, _is_serializable(securable)
                )
            return self._deltas[securable.name]

    def changed(self, securable: Securable) -> None:
        """Apply changed properties of a table."""
        if securable.kind == "table":
            self.delta(securable).is_serializable = _is_serializable(securable)

    def forget(self, name: Name) -> None:
        """Close the Delta table of a dropped table."""
        with self._lock:
            self._deltas.pop(name, None)

    def add(self, made: Securable, *, is_repeatable: bool = False) -> None:
        """Add a securable to the catalog.

        Raises:
            SqlFailure: It already exists, or its parent does not exist.
        """
        try:
            self.workspace.catalog.add(made, is_repeatable=is_repeatable)
        except Refused as refused:
            code = {"TABLE_ALREADY_EXISTS": "TABLE_OR_VIEW_ALREADY_EXISTS"}.get(refused.code)
            code = code or refused.code.replace("_DOES_NOT_EXIST", "_NOT_FOUND")
            state = "42P07" if refused.code.endswith("ALREADY_EXISTS") else "42704"
            raise SqlFailure(code, str(refused), state) from refused

    def known(self, kind: str, name: Name) -> Securable:
        """Return a securable that must be in the catalog.

        Raises:
            SqlFailure: It does not exist.
        """
        securable = self.workspace.catalog.find(kind, name)
        if securable is None:
            if kind == "table":
                raise missing_table(".".join(name))
            text = f"The {kind} `{'.'.join(name)}` cannot be found."
            raise SqlFailure(f"{kind.upper()}_NOT_FOUND", text, "42704")
        return securable

    def _run(self, sql: str, session: Session, parameters: list[Parameter]) -> pa.Table:
        text = sql.strip().rstrip(";").strip()
        if (found := self._by_pattern(_plain(text), session)) is not None:
            return found
        tree = parse(text)
        if not isinstance(tree, exp.Create):  # its handler does not change the tree
            tree = bind(tree.copy(), parameters)
        if isinstance(tree, exp.Query | exp.Values):
            with Query(self, session) as query:
                return query.run(tree)
        if isinstance(tree, exp.Describe):
            securable = definitions.named(self, session, tree.this)
            return listings.description(securable, is_extended=bool(tree.args.get("style")))
        for kind, handle in _HANDLERS.items():
            if isinstance(tree, kind):
                return handle(self, session, tree, text)
        raise unknown_statement(text)

    def _by_pattern(self, text: str, session: Session) -> pa.Table | None:
        """Run a statement that sqlglot does not parse; returns None if it is another one."""
        catalog = self.workspace.catalog
        if found := _SHOW.fullmatch(text):
            return self._show(found[1].upper(), _parts(found[2]), session)
        if found := _SHOW_PROPERTIES.fullmatch(text):
            return listings.properties(self.known("table", session.full(_parts(found[1]))))
        if found := _SHOW_GRANTS.fullmatch(text):
            kind, parts = found[2].lower(), _parts(found[3])
            shown = listings.grants(definitions.secured(self, session, kind, parts, text))
            wanted = (found[1] or "").strip("`")
            rows = [row for row in shown.to_pylist() if wanted in {"", row["Principal"]}]
            return listings.table(shown.column_names, [list(row.values()) for row in rows])
        if found := _CREATE_CATALOG.fullmatch(text):
            catalogs = (_parts(found[2])[0].lower(),)
            self.add(Securable("catalog", catalogs), is_repeatable=bool(found[1]))
            return definitions.DONE
        if found := _CREATE_VOLUME.fullmatch(text):
            made = Securable("volume", session.full(_parts(found[2])), found[3] or "")
            self.add(made, is_repeatable=bool(found[1]))
            return definitions.DONE
        if found := _DROP_VOLUME.fullmatch(text):
            name = session.full(_parts(found[2]))
            if catalog.find("volume", name) is not None or not found[1]:
                catalog.drop("volume", self.known("volume", name).name)
            return definitions.DONE
        if found := _MAINTENANCE.fullmatch(text):
            securable = self.known("table", session.full(_parts(found[2])))
            if found[1].upper() == "OPTIMIZE":
                self.delta(securable).compact()
            return definitions.DONE
        return None

    def _show(self, what: str, parts: list[str], session: Session) -> pa.Table:
        catalog = self.workspace.catalog
        if what == "CATALOGS":
            return listings.table(("catalog",), [one.name for one in catalog.inside("catalog")])
        if what in {"SCHEMAS", "DATABASES"}:
            found = catalog.inside("schema", tuple(parts) or (session.catalog,))
            return listings.table(("databaseName",), [one.name[1:] for one in found])
        inside = session.full([*parts, "x"])[:2]
        self.known("schema", inside)
        if what == "VOLUMES":
            found = catalog.inside("volume", inside)
            return listings.table(("database", "volume_name"), [one.name[1:] for one in found])
        found = catalog.inside("table", inside)
        return listings.tables(found) if what == "TABLES" else listings.views(found)


_HANDLERS: dict[type[exp.Expr], Callable[[Engine, Session, Any, str], pa.Table]] = {
    exp.Merge: writes.merge,
    exp.Insert: writes.insert,
    exp.Update: writes.update,
    exp.Delete: writes.delete,
    exp.Create: definitions.create,
    exp.Alter: definitions.alter,
    exp.Drop: definitions.drop,
    exp.Comment: definitions.comment,
    exp.Use: definitions.use,
    exp.Grant: definitions.grant,
    exp.Revoke: definitions.grant,
}


def _plain(text: str) -> str:
    """Return a statement without the comments above it."""
    return re.sub(r"\A(?:\s*--[^\n]*(?:\n|\Z))+", "", text).strip()


def _parts(name: str | None) -> list[str]:
    return [part.strip("`") for part in re.findall(r"`[^`]+`|\w+", name or "")]


def _is_serializable(securable: Securable) -> bool:
    return securable.properties.get("delta.isolationLevel", "") == "Serializable"
