"""The differences between existing tables and those of `sql/`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Types = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Differences:
    """What is missing or has another type; additional tables and columns do not count.

    Attributes:
        tables: Missing tables.
        columns: Missing columns, by table.
        types: Columns with another type, by table, each as `name is X, not Y`.
        wanted: How many tables there should be.
    """

    tables: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wanted: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether all tables are missing."""
        return len(self.tables) == self.wanted

    def lines(self) -> list[str]:
        """Describe each difference in words."""
        lines = [f"missing tables: {', '.join(self.tables)}"] if self.tables else []
        lines += [f"{table} lacks {', '.join(names)}" for table, names in self.columns.items()]
        lines += [f"{table}: {', '.join(names)}" for table, names in self.types.items()]
        return lines


def compare(wanted: Mapping[str, Types], found: Mapping[str, Types]) -> Differences:
    """Compare tables; each is a mapping from column name to type, as `spelled` writes it."""
    columns: dict[str, tuple[str, ...]] = {}
    types: dict[str, tuple[str, ...]] = {}
    for table in wanted.keys() & found.keys():
        have = found[table]
        if lacking := tuple(name for name in wanted[table] if name not in have):
            columns[table] = lacking
        if other := tuple(
            f"{name} is {have[name]}, not {kind}"
            for name, kind in wanted[table].items()
            if have.get(name, kind) != kind
        ):
            types[table] = other
    return Differences(
        tuple(name for name in wanted if name not in found), columns, types, len(wanted)
    )


def spelled(kind: str) -> str:
    """Write a Databricks type in upper case without blanks, so that types can be compared."""
    return "".join(kind.upper().split())
