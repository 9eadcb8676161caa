"""Print the rows of a query as a table, CSV or JSON.

Rows go to standard output, remarks to standard error.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import shutil
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.table import Table

    from databricks_app.lake.local.query import Result

# Maximum width of a column. Longer texts are wrapped, at blanks if they have any.
_TEXT_WIDTH = 30
_WORD_WIDTH = 40
_GAP = 3


def format_option(command: click.decorators.FC) -> click.decorators.FC:
    """Add the option `--format`, passed as `form`."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "csv", "json", "jsonl"]),
        default="table",
        show_default=True,
        help="A table, CSV, one JSON array, or one JSON object a line.",
    )(command)


def write(result: Result, form: str) -> None:
    """Print the rows in one of the forms of `format_option`."""
    out = io.StringIO()
    _WRITERS[form](result, out)
    click.echo(out.getvalue(), nl=False)
    if result.is_cut:
        click.echo(
            f"These are only the first {len(result.rows)} rows; --limit shows more.", err=True
        )


def fits(result: Result) -> bool:
    """Whether a table of the rows fits the terminal if only long texts are wrapped."""
    columns = zip(result.names, *(map(_shown, row) for row in result.rows), strict=True)
    width = sum(
        max(min(len(cell), _TEXT_WIDTH if " " in cell else _WORD_WIDTH) for cell in cells) + _GAP
        for cells in columns
    )
    return width <= _terminal_width()


def _as_json(result: Result, out: TextIO) -> None:
    records = [_record(result, row) for row in result.rows]
    out.write(json.dumps(records, ensure_ascii=False, indent=1) + "\n")


def _as_json_lines(result: Result, out: TextIO) -> None:
    for row in result.rows:
        out.write(json.dumps(_record(result, row), ensure_ascii=False) + "\n")


def _record(result: Result, row: Iterable[object]) -> dict[str, object]:
    return dict(zip(_unique(result.names), map(plain, row), strict=True))


def _unique(names: Iterable[str]) -> list[str]:
    """Add a number to repeated names, because a JSON object has each key once."""
    unique: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def plain(value: object) -> object:
    """Convert a value for JSON: times to ISO 8601 in UTC, bytes to base64, NaN to null."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _text(value: object) -> str:
    """Convert one cell into text; NULL becomes an empty text."""
    simple = plain(value)
    if simple is None:
        return ""
    return simple if isinstance(simple, str) else json.dumps(simple, ensure_ascii=False)


def _as_csv(result: Result, out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(result.names)
    writer.writerows([_text(value) for value in row] for row in result.rows)


def _as_table(result: Result, out: TextIO) -> None:
    from rich.console import Console

    if fits(result):
        console = Console(file=out, width=_terminal_width(), emoji=False, markup=False)
        console.print(_grid(result))
        return
    # Too wide for the terminal: one line for each value.
    longest = max(map(len, result.names))
    for number, row in enumerate(result.rows, start=1):
        out.write(f"--- {number} ---\n")
        for name, value in zip(result.names, row, strict=True):
            out.write(f"{name:<{longest}}  {_shown(value)}\n")


def _grid(result: Result) -> Table:
    """Build a table without a frame; numbers are on the right, long texts are wrapped."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, kind in zip(result.names, result.types, strict=True):
        is_number = kind.startswith(("BIGINT", "INT", "DOUBLE", "DECIMAL"))
        grid.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in result.rows:
        grid.add_row(*(Text(_shown(value)) for value in row))
    return grid


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns


def _shown(value: object) -> str:
    """Format a cell for the terminal; escape control characters, which events may contain."""
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1 else f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S" + (".%f" if value.microsecond else ""))
    text = _text(value)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


_WRITERS: dict[str, Callable[[Result, TextIO], None]] = {
    "table": _as_table,
    "csv": _as_csv,
    "json": _as_json,
    "jsonl": _as_json_lines,
}
