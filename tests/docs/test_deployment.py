"""docs/deployment.md: its prices are those of the price function, its files exist."""

from __future__ import annotations

import re

from databricks_app.operations.costs import prices
from databricks_app.operations.costs.model import VOLUMES
from databricks_app.operations.costs.topologies import topologies
from tests.support.paths import DOCS, ROOT

PAGE = (DOCS / "deployment.md").read_text("utf-8")


def table(first_cell: str) -> dict[str, list[str]]:
    """Return the cells of the table whose head begins with this cell, by the first of each row."""
    lines = PAGE[PAGE.index(f"\n| {first_cell} |") + 1 :].splitlines()
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return {name: cells for name, *cells in rows}


def test_the_page_begins_with_the_topologies_and_recommends_the_first() -> None:
    """A machine whose disk lasts."""
    first_heading = re.findall("^## (.+)$", PAGE, re.MULTILINE)[0]
    heads = next(line for line in PAGE.splitlines() if line.startswith("|")).split("|")

    assert first_heading == "Topologies"
    assert "machine with a disk (recommended)" in heads[2]


def test_the_prices_are_those_of_the_price_function() -> None:
    """Each topology has a row with the USD a month at the three volumes."""
    shown = table("Topology")

    assert shown["Topology"] == [volume.name for volume in VOLUMES]
    for topology in topologies():
        assert shown[topology.name] == [f"{topology.usd(volume):,.0f}" for volume in VOLUMES]


def test_the_prices_have_their_date_and_source() -> None:
    """List prices change; the reader must know how old these are."""
    for fact in (prices.AS_OF, f"{prices.SQL_USD_PER_DBU:.2f} USD a DBU"):
        assert fact in PAGE


def test_the_files_of_the_recipes_exist() -> None:
    """Every file of examples/ that the page names."""
    named = set(re.findall(r"examples/[\w./-]*\w", PAGE))

    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    assert {"examples/compose", "examples/databricks.env.example"} <= named
