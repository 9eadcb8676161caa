"""Rewrites for dates, times and intervals; see `rewrites`.

Imports the SQL parser: import it where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from databricks_app.errors import QueryError
from databricks_app.lake.sql_dialect.functions import DATE_UNITS, EXTRACTED, TIME_FORMATS
from databricks_app.lake.sql_dialect.nodes import call, cast, date, is_date, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE_DAY_UNITS = frozenset({"DAY", "DAYS", "WEEK", "WEEKS", "MONTH", "MONTHS", "YEAR", "YEARS"})


def _plus(node: exp.Expr) -> exp.Expr:
    left, right = node.this, node.expression
    if is_date(left) and is_date(right):
        raise QueryError(
            "A date minus a date is an interval on Databricks; use datediff(end, start)."
        )
    if is_date(left) and isinstance(right, exp.Interval):
        unit = str(right.args.get("unit") or "").upper()
        return date(node) if unit in _WHOLE_DAY_UNITS else timestamp(node)
    return node


def _day_of_week(node: exp.Expr) -> exp.Expr:
    # Sunday is 1 on Databricks and 0 in DuckDB.
    return exp.Paren(this=exp.Add(this=node, expression=exp.Literal.number(1)))


def _extract(node: exp.Expr) -> exp.Expr:
    field = node.name.upper()
    if field in {"DOW", "DAYOFWEEK"}:
        return _day_of_week(node)
    if field not in EXTRACTED:
        raise QueryError(
            f"The local engine does not support extract({field}); use: {', '.join(EXTRACTED)}."
        )
    return node


def _elapsed(node: exp.Expr) -> exp.Expr:
    # Databricks counts whole units between two times, like date_sub of DuckDB. date_diff of DuckDB
    # counts crossed boundaries.
    unit = exp.Literal.string(str(node.args["unit"]).lower())
    return call("date_sub", unit, timestamp(node.expression), timestamp(node.this))


def _date_diff(node: exp.Expr) -> exp.Expr:
    if str(node.args["unit"]).upper() != "DAY":
        return _elapsed(node)
    days = exp.Literal.string("day")
    return call("date_diff", days, date(node.expression), date(node.this))


def _truncated(node: exp.Expr) -> exp.Expr:
    unit = DATE_UNITS.get(node.args["unit"].name.upper())
    if unit is None:
        raise QueryError(
            f"The unit of trunc or date_trunc must be one of: {', '.join(DATE_UNITS)}."
        )
    start = call("date_trunc", exp.Literal.string(unit), node.this)
    return date(start) if isinstance(node, exp.DateTrunc) else timestamp(start)


def _unix(node: exp.Expr) -> exp.Expr:
    # Whole seconds. The translation of sqlglot rounds, or reads a timestamp as a text.
    return cast(call("floor", call("epoch", timestamp(node.this))), "BIGINT")


def _formatted(node: exp.Expr) -> exp.Expr:
    pattern = node.args["format"].name.replace("strict", "")
    used = {pattern[place : place + 2] for place in range(len(pattern)) if pattern[place] == "%"}
    rest = pattern
    for part in used:
        rest = rest.replace(part, "")
    if not used <= TIME_FORMATS or any(character.isalpha() for character in rest):
        raise QueryError("Time formats may use: yyyy, yy, MM, MMM, MMMM, dd, HH, mm, ss, E, EEEE.")
    return node


def _from_utc_timestamp(node: exp.Expr) -> exp.Expr:
    # The local time of the zone, as a timestamp.
    return timestamp(call("timezone", node.args["zone"], timestamp(node.this.this)))


def _sequence(node: exp.Expr) -> exp.Expr:
    # DuckDB makes a sequence of dates into timestamps.
    if is_date(node.args["start"]):
        return cast(node, "DATE[]")
    # Without a step, Databricks also counts downwards and DuckDB does not.
    if not node.args.get("step"):
        raise QueryError("sequence needs a step here, e.g. sequence(1, 9, 1).")
    return node


TIME_REWRITES: dict[type[exp.Expr], Callable[[exp.Expr], exp.Expr]] = {
    exp.Add: _plus,
    exp.AddMonths: date,
    exp.AtTimeZone: _from_utc_timestamp,
    exp.DateDiff: _date_diff,
    exp.DateTrunc: _truncated,
    exp.DayOfWeek: _day_of_week,
    exp.Extract: _extract,
    exp.GenerateSeries: _sequence,
    exp.StrToUnix: _unix,
    exp.Sub: _plus,
    exp.TimeToStr: _formatted,
    exp.TimestampAdd: timestamp,
    exp.TimestampDiff: _elapsed,
    exp.TimestampTrunc: _truncated,
    exp.TsOrDsAdd: date,
    exp.UnixSeconds: _unix,
    exp.UnixToStr: _formatted,
}
