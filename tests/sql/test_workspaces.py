"""Two workspaces in the same tables: the same id in both means different things."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from databricks_app.lake.sql_dialect import View, tables, views
from tests.support.lake_rows import LocalTables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.lake_rows import Rows

each_view = pytest.mark.parametrize("view", views(), ids=lambda view: view.name)

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SHARED: dict[str, object] = {
    "delivery_id": "d",
    "campaign_id": 7,
    "journey_id": "j",
    "identifiers_cio_id": "c",
    "identifiers_id": "i",
}
# An open that is inferred from a click is a person's if the delivery has a click of a person: the
# workspace of the first list has the open, that of the second has the click.
OPENS = ("sent", "delivered", "opened", "bounced")
CLICKS = ("sent", "clicked", "bounced", "spammed")


def fill(folder: Path, *rows: tuple[str | None, tuple[str, ...]]) -> LocalTables:
    """Local tables with the events of some workspaces, in every table the same ids."""
    lake = LocalTables(folder)
    for table in tables():
        short_name = table.name.removeprefix("webhook_").removesuffix("_events")
        names = set(table.column_names)
        events = [
            {name: value for name, value in event.items() if name in names}
            for workspace, metrics in rows
            for event in _events(short_name, workspace, metrics)
        ]
        lake.add(short_name, *events)
    return lake


def _events(short_name: str, workspace: str | None, metrics: tuple[str, ...]) -> Rows:
    return [
        {
            **SHARED,
            "event_id": f"{short_name} {'-'.join(metrics)} {metric}",
            "event_timestamp": NOON + timedelta(minutes=len(metrics[-1]) + number),
            "received_at": NOON + timedelta(hours=1, minutes=number),
            "workspace": workspace,
            "metric": metric,
            "synthetic": metric == "opened",
            "failure_message": f"timeout of {metrics[-1]}",
            "recipient": f"{metrics[-1]}@example.com",
            "unrouted_reason": "unknown_object_type",
        }
        for number, metric in enumerate(metrics)
    ]


def answer(lake: LocalTables, view: View) -> list[str]:
    """The sorted rows of a view."""
    return sorted(map(str, lake.records(f"SELECT * FROM {view.name}")))


@pytest.fixture
def filled(tmp_path: Path) -> Callable[..., LocalTables]:
    """Make new tables with rows: `filled((workspace, metrics), ...)`."""
    numbers = iter(range(100))
    return lambda *rows: fill(tmp_path / str(next(numbers)), *rows)


@each_view
def test_view_keeps_workspaces_apart(view: View, filled: Callable[..., LocalTables]) -> None:
    """With two workspaces, a view returns the same rows as for each workspace alone."""
    first, second = ("eu", OPENS), ("us", CLICKS)

    both = answer(filled(first, second), view)

    assert both == sorted(answer(filled(first), view) + answer(filled(second), view))
    assert "'workspace': 'eu'" in str(both)
    assert "'workspace': 'us'" in str(both)


@each_view
def test_row_without_a_workspace_counts_as_default(
    view: View, filled: Callable[..., LocalTables]
) -> None:
    """Rows that are older than the column, together with new rows."""
    mixed = answer(filled((None, OPENS), ("default", CLICKS)), view)

    assert mixed == answer(filled(("default", OPENS), ("default", CLICKS)), view)
    assert "'workspace': None" not in str(mixed)


def test_replayed_event_is_routed_also_with_another_workspace(tmp_path: Path) -> None:
    """The workspace got its name after the raw row was loaded; the key is only id and day."""
    lake = LocalTables(tmp_path)
    event = {"event_id": "replayed", "event_timestamp": NOON}
    lake.add("raw", {**event, "workspace": None, "unrouted_reason": "unknown_object_type"})

    lake.add("whatsapp", {**event, "workspace": "eu"})

    assert lake.records("SELECT * FROM webhook_unrouted_events") == []


def test_old_rows_of_local_tables_belong_to_default(filled: Callable[..., LocalTables]) -> None:
    """In every table, not only in the views."""
    lake = filled((None, OPENS), ("eu", CLICKS))

    found = {
        table.name: lake.records(f"SELECT DISTINCT workspace FROM {table.name} ORDER BY workspace")
        for table in tables()
    }

    assert found == {name: [{"workspace": "default"}, {"workspace": "eu"}] for name in found}
