"""An open table: appends, and the translation of the errors of the engine."""

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
    """So a look-up in the open version is still valid at the commit."""
    table = table_in(tmp_path)
    stale = TableHandle(table.path, -1)
    table.append(keys({"a"}))

    with pytest.raises(LakeError, match="keys: another program changed the table"):
        stale.append(keys({"b"}))
    stale.reopen()
    stale.append(keys({"b"}))

    assert stale.delta.count() == 2


def test_append_accepts_columns_with_another_comment(tmp_path: Path) -> None:
    """A table keeps the comments of the release that created it."""
    TableHandle.create(tmp_path / "keys", Definition("keys", commented("of then")), {})
    table = TableHandle(tmp_path / "keys", -1)

    table.append(keys({"a"}).cast(commented("of now")))

    assert table.delta.count() == 1


def test_error_of_a_refused_value_has_only_its_type(tmp_path: Path) -> None:
    """The text of the engine contains the row."""
    table = table_in(tmp_path)
    table.delta.alter.add_constraint({"test": "event_id <> 'ada@example.com'"})

    with pytest.raises(ValueRefused) as refused:
        table.append(keys({"ada@example.com"}))

    assert str(refused.value) == "DeltaError"


def test_files_are_only_those_of_the_dates(tmp_path: Path) -> None:
    """The paths exist, also in a folder with a space."""
    table = table_in(tmp_path / "a folder")
    for day in (DAY, date(1970, 1, 1)):
        table.append(pa.table([["a"], [day]], schema=SCHEMA))

    (file,) = table.files(keys({"a"}))

    assert file.is_file()
    assert file.parent.name == "event_date=2026-11-22"


def test_files_are_only_those_that_may_contain_the_ids(tmp_path: Path) -> None:
    """Ids that are greater than all stored ones need no file."""
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
def test_translated_errors_say_what_is_wrong_with_the_storage(error: Exception, words: str) -> None:
    """The text of the engine is left out, because it may contain rows."""
    with (
        pytest.raises(LakeError, match=f"^keys: .*{words}"),
        translated_errors("keys", may_refuse=True),
    ):
        raise error


def test_other_errors_mean_a_refused_value_if_may_refuse_is_set() -> None:
    """Only the name of the error type is kept."""
    secret = DeltaError("Invalid data found: ada@example.com")

    with pytest.raises(ValueRefused) as refused, translated_errors("keys", may_refuse=True):
        raise secret
    with pytest.raises(LakeError) as failed, translated_errors("keys"):
        raise secret

    assert (refused.value.error, str(failed.value)) == (
        "DeltaError",
        "keys: the table cannot be read or written (DeltaError).",
    )


def test_translated_errors_lets_our_own_errors_through() -> None:
    """A KeyError is a bug, not a storage problem."""
    with pytest.raises(KeyError), translated_errors("keys", may_refuse=True):
        raise KeyError("x")


def test_plain_exceptions_of_the_engine_are_translated() -> None:
    """The engine raises one for a failed cast."""
    with pytest.raises(ValueRefused, match="Exception"), translated_errors("keys", may_refuse=True):
        raise Exception("Cast error: Overflow")  # as the engine does


def test_folder_without_a_table_is_an_error(tmp_path: Path) -> None:
    """The error names the table."""
    with pytest.raises(LakeError, match=r"^nothing: "):
        TableHandle(tmp_path / "nothing", -1)
