"""How the tables that are there differ from those of `sql/`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Types = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Differences:
    """What is not as it should be; columns and tables beyond the wanted ones are no matter.

    Attributes:
        tables: Missing tables.
        columns: Missing columns by table.
        types: Columns of another type by table, each as `name is X, not Y`.
        wanted: How many tables there should be.
    """

    tables: tuple[str, ...] = ()
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wanted: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether no table is there at all."""
        return len(self.tables) == self.wanted

    def lines(self) -> list[str]:
        """Each difference in words."""
        lines = [f"{', '.join(self.tables)} missing"] if self.tables else []
        lines += [f"{table} lacks {', '.join(names)}" for table, names in self.columns.items()]
        lines += [f"{table}: {', '.join(names)}" for table, names in self.types.items()]
        return lines


def compare(wanted: Mapping[str, Types], found: Mapping[str, Types]) -> Differences:
    """Compare tables, each as the types of its columns by name, in one spelling."""
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
    """A Databricks type in the one spelling that is compared."""
    return "".join(kind.upper().split())
