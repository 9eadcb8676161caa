"""Runs every statement that the project sends on Spark and on both doubles, over the same data.

Not a test module. The statements are those of `docs/databricks-statements.sql`, which a test keeps
equal to what is really sent; their order is made here: tables, columns, views, loads, reads, drops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from databricks_app.lake import sql_dialect
from tests.doubles.warehouse.queries import Parameter, Session
from tests.spark.engine import Answer
from tests.spark.substitutions import reason_not_to_run
from tests.support import sent_statements

if TYPE_CHECKING:
    from tests.doubles.warehouse.statements import Engine

Run = Callable[[str, Mapping[str, object]], Answer]

SCHEMA = "cio"
LATE = "webhook_push_events"
"""The table that gets two of its columns by ALTER TABLE, as in what was recorded."""

LOADS = r"MERGE .*WHEN NOT MATCHED.*"
RENAMES = r"MERGE .*WHEN MATCHED.*|UPDATE .*"

PARAMETERS: Mapping[str, object] = {
    "schema_name": SCHEMA,
    "batch_id": "another batch",
    "loaded_at": datetime(2026, 11, 22, 12, 1, 0, 7, UTC),
    "first_date": date(2026, 11, 1),
    "last_date": date(2026, 11, 30),
    "table": "webhook_sms_events",
    "event_ids_0": "sms/sent 0",
    "after_date": date(2026, 11, 1),
    "after_id": "",
    "id": "sms/sent 0",
}
# What stands in two tables, or in the wrong one, is looked for over these at least.
_CROSSED = frozenset({"webhook_raw_events", "webhook_email_events", "webhook_sms_events"})
_SCRATCH = "ciolake_scratch_0123456789ab"


@dataclass(frozen=True, slots=True)
class Judged:
    """The result of one statement.

    Attributes:
        spark: On Spark.
        warehouse: On `tests/doubles/warehouse`.
        duck: On `tests/support/duck_warehouse.py`; None where that does not know it.
    """

    spark: Answer
    warehouse: Answer
    duck: Answer | None


@dataclass(slots=True)
class Judgement:
    """All statements and their results, in the order in which they ran.

    Attributes:
        spark: Runs a statement on Spark.
        warehouse: On the one double.
        duck: On the other.
        results: By statement. A load has a second result under its text and ` again`.
    """

    spark: Run
    warehouse: Run
    duck: Run
    results: dict[str, Judged | Exception] = field(default_factory=dict)

    def run(self, statement: str, name: str = "") -> None:
        """Run one everywhere; what it raises is raised by `given`, so that others go on."""
        values = {one: PARAMETERS[one] for one in re.findall(r":(\w+)\b", _unquoted(statement))}
        try:
            self.results[name or statement] = Judged(
                self.spark(statement, values),
                self.warehouse(statement, values),
                self.duck(statement, values) if _is_known_to_duck(statement) else None,
            )
        except Exception as error:  # noqa: BLE001  # the errors of three engines
            self.results[name or statement] = error

    def given(self, name: str) -> Judged:
        """Return the result of a statement.

        Raises:
            Exception: What it raised.
        """
        found = self.results[name]
        if isinstance(found, Exception):
            raise found
        return found

    def run_all(self, trouble: Mapping[str, str], wanted: Set[str]) -> None:
        """Run the statements that are wanted, and what they need.

        Args:
            trouble: Statements by table that make what `verify` looks for.
            wanted: Names of results.
        """
        for sql in _tables():
            self.run(sql)
        for statement in _matching(r"SELECT table_name, column_name\n.*|ALTER .*"):
            self.run(statement)
        for view in sql_dialect.statements("views"):
            self.run(view.sql)
        for statement in _matching(LOADS):
            self.run(statement)
            if (name := again(statement)) in wanted:
                self.run(statement, name)
        asked = {_first_table(one) for one in wanted}
        for name, statement in trouble.items():
            if name in _CROSSED | asked:
                self.run(statement)
        reads = _matching(r"(?!MERGE|UPDATE|ALTER|DROP|SELECT table_name, column_name\n).*")
        # The typed tables stand before the raw one in the file, as in a rename.
        for statement in (*reads, *_matching(RENAMES), *_matching(r"DROP .*")):
            if statement in wanted:
                self.run(statement)


@cache
def listed() -> tuple[str, ...]:
    """The statements of the file."""
    text = sent_statements.FILE.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    parts = "\n".join([*lines, ""]).split(";\n")
    return tuple(one.strip() for one in parts if one.strip())


def runnable() -> list[str]:
    """The statements that Spark can run."""
    return [one for one in listed() if reason_not_to_run(one) is None]


def again(statement: str) -> str:
    """Name of the result of a load that is repeated."""
    return f"{statement} again"


def is_in_every_run(statement: str) -> bool:
    """Whether it loads, or no statement before differs by nothing but the table's name."""
    if re.fullmatch(LOADS, statement, re.DOTALL):
        return True
    alike = [one for one in runnable() if _shape(one) == _shape(statement)]
    return statement == alike[0]


def through_double(engine: Engine) -> Run:
    """The double of a warehouse."""
    session = Session("main", SCHEMA)

    def run(sql: str, parameters: Mapping[str, object]) -> Answer:
        bound = [Parameter(name, _type(value), str(value)) for name, value in parameters.items()]
        return answer(engine.run(sql, session, bound))

    return run


def _type(value: object) -> str:
    """The type that the connector gives a parameter."""
    if isinstance(value, datetime):
        return "TIMESTAMP"
    return "DATE" if isinstance(value, date) else "STRING"


def through_duck(warehouse: Any) -> Run:
    """The warehouse of the loader's own tests."""

    def run(sql: str, parameters: Mapping[str, object]) -> Answer:
        description, rows = warehouse.execute(sql, parameters)
        names = tuple(column[0] for column in description or [])
        return Answer(names, (), [tuple(row) for row in rows])

    return run


def answer(rows: pa.Table) -> Answer:
    """Rows of Arrow as an answer."""
    columns = [column.to_pylist(maps_as_pydicts="strict") for column in rows.columns]
    types = tuple(str(field.type) for field in rows.schema)
    return Answer(tuple(rows.column_names), types, list(zip(*columns, strict=True)))


def by_name(rows: Answer) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    return [dict(zip(rows.names, row, strict=True)) for row in rows.rows]


def _tables() -> Iterator[str]:
    """CREATE TABLE of each, one without its newest columns, and of the scratch table."""
    for table in sql_dialect.tables():
        newest = tuple(column.name for column in table.columns[-3:-1])
        lines = table.sql.splitlines()
        if table.name == LATE:
            lines = [line for line in lines if not line.strip().startswith(newest)]
        yield "\n".join(lines)
        if table.name == sent_statements.LIKE:
            yield table.sql.replace(table.name, _SCRATCH, 1)


def _matching(pattern: str) -> list[str]:
    return [one for one in runnable() if re.fullmatch(pattern, one, re.DOTALL)]


def _first_table(statement: str) -> str:
    found = re.search(r"\bwebhook_\w+_events\b", statement)
    return found[0] if found else ""


def _shape(statement: str) -> str:
    return re.sub(r"\bwebhook_\w+_events\b", "table", statement)


def _is_known_to_duck(statement: str) -> bool:
    """Listings, drops, functions of JSON and arrays it does not know."""
    unknown = r"(SHOW|DROP|SELECT table_name\b).*|.*(to_json|array_contains)\(.*"
    return re.fullmatch(unknown, statement, re.DOTALL) is None


def _unquoted(statement: str) -> str:
    return re.sub(r"'[^']*'", "''", statement)
