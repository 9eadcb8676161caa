"""An open table: what an append may rely on, and what the engine's errors become."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError, SchemaMismatchError

from databricks_app.errors import LakeError, ValueRefused
from databricks_app.lake.local.table_handle import Definition, TableHandle, translated_errors

DAY = date(2026, 11, 22)
SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event_date", pa.date32(), nullable=False),
    ]
)


def table_in(folder: Path) -> TableHandle:
    """A new table of keys."""
    TableHandle.create(folder / "keys", Definition("keys", SCHEMA), {})
    return TableHandle(folder / "keys", -1)


def keys(ids: set[str]) -> pa.Table:
    """Rows of one day."""
    days = [DAY] * len(ids)
    return pa.table([sorted(ids), days], schema=SCHEMA)


def commented(text: str) -> pa.Schema:
    """The schema with this comment on each column."""
    return pa.schema([field.with_metadata({"comment": text}) for field in SCHEMA])


def test_append_fails_if_the_table_has_changed_since_it_was_opened(tmp_path: Path) -> None:
    """Whatever changed it; so a look-up in the open version stays true until the commit."""
    table = table_in(tmp_path)
    stale = TableHandle(table.path, -1)
    table.append(keys({"a"}))

    with pytest.raises(LakeError, match="keys: another program changed the table"):
        stale.append(keys({"b"}))
    stale.reopen()
    stale.append(keys({"b"}))

    assert stale.delta.count() == 2


def test_append_takes_rows_whose_columns_have_another_comment(tmp_path: Path) -> None:
    """A table keeps the comments of the release that made it."""
    TableHandle.create(tmp_path / "keys", Definition("keys", commented("of then")), {})
    table = TableHandle(tmp_path / "keys", -1)

    table.append(keys({"a"}).cast(commented("of now")))

    assert table.delta.count() == 1


def test_append_names_a_value_the_engine_refuses_by_its_type_alone(tmp_path: Path) -> None:
    """The engine's text shows the row."""
    table = table_in(tmp_path)
    table.delta.alter.add_constraint({"test": "event_id <> 'ada@example.com'"})

    with pytest.raises(ValueRefused) as refused:
        table.append(keys({"ada@example.com"}))

    assert str(refused.value) == "DeltaError"


def test_files_are_those_of_the_dates(tmp_path: Path) -> None:
    """Paths as the file system knows them, in a folder with a space as well."""
    table = table_in(tmp_path / "a folder")
    for day in (DAY, date(1970, 1, 1)):
        table.append(pa.table([["a"], [day]], schema=SCHEMA))

    (file,) = table.files(keys({"a"}))

    assert file.is_file()
    assert file.parent.name == "event_date=2026-11-22"


def test_files_are_those_that_may_hold_the_ids(tmp_path: Path) -> None:
    """New events, whose ids are higher than all before, meet no file of their day."""
    table = table_in(tmp_path)
    for ids in ({"a1", "a9"}, {"b1", "b9"}, {"c1", "c9"}):
        table.append(keys(ids))

    counts = [len(table.files(keys(ids))) for ids in ({"d1", "d2"}, {"b5"}, {"a9", "b1"}, {"c0"})]

    assert counts == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(28, "x"), "No space left on device. Check the disk"),
        (DeltaError("External: LocalFileSystem: (os error 13)"), "Permission denied. Check"),
        (FileNotFoundError("x"), "a file of the table is missing"),
        (DeltaError("Object at location /x not found: y"), "a file of the table is missing"),
        (DeltaError("Parquet error: x"), r"cannot be read or written \(DeltaError\)"),
        (SchemaMismatchError("x"), r"cannot be read or written \(SchemaMismatchError\)"),
        (MemoryError(), r"cannot be read or written \(MemoryError\)"),
    ],
)
def test_explained_tells_what_is_wrong_with_the_storage(error: Exception, words: str) -> None:
    """An admin's words, never the engine's, which may show rows."""
    with (
        pytest.raises(LakeError, match=f"^keys: .*{words}"),
        translated_errors("keys", may_refuse=True),
    ):
        raise error


def test_explained_takes_other_errors_for_a_verdict_on_values_where_that_can_be() -> None:
    """Only the type's name is kept."""
    secret = DeltaError("Invalid data found: ada@example.com")

    with pytest.raises(ValueRefused) as refused, translated_errors("keys", may_refuse=True):
        raise secret
    with pytest.raises(LakeError) as failed, translated_errors("keys"):
        raise secret

    assert (refused.value.error, str(failed.value)) == (
        "DeltaError",
        "keys: the table cannot be read or written (DeltaError).",
    )


def test_explained_lets_faults_of_our_own_through() -> None:
    """A KeyError is no state of the disk."""
    with pytest.raises(KeyError), translated_errors("keys", may_refuse=True):
        raise KeyError("x")


def test_explained_knows_that_the_engine_raises_plain_exceptions() -> None:
    """A failed cast comes as one."""
    with pytest.raises(ValueRefused, match="Exception"), translated_errors("keys", may_refuse=True):
        raise Exception("Cast error: Overflow")  # as the engine does


def test_open_of_a_folder_without_a_table_says_so(tmp_path: Path) -> None:
    """No table, no handle."""
    with pytest.raises(LakeError, match=r"^nothing: "):
        TableHandle(tmp_path / "nothing", -1)
