"""Spark and the doubles give the same result for every statement that we send to a warehouse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles import Databricks
from tests.spark import judged, staged
from tests.spark.engine import SparkEngine, comparable, ordered
from tests.spark.judged import Judgement
from tests.spark.substitutions import NOT_RUN, SUBSTITUTIONS
from tests.support.duck_warehouse import DuckWarehouse
from tests.support.volume_files import FolderFiles

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_VOLUME = "/Volumes/main/cio/events/"


def _cases(pattern: str) -> list[Any]:
    """Statements, of each shape one in every run and the others marked slow."""
    return [
        pytest.param(
            one,
            id=re.sub(r"[^\w.]+", " ", one)[:60],
            marks=() if judged.is_in_every_run(one) else pytest.mark.slow,
        )
        for one in judged.runnable()
        if re.fullmatch(pattern, one, re.DOTALL)
    ]


@pytest.fixture(scope="module")
def judgement(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Judgement:
    """What each chosen statement gave on Spark and on the doubles, over the same files."""
    folder = tmp_path_factory.mktemp("judgement")
    with Databricks(folder / "double") as double:
        double.workspace.catalog.seed("main.cio.events")
        duck = DuckWarehouse(FolderFiles(folder / "duck"))
        engine = SparkEngine(spark, judged.SCHEMA, folder / "volume")

        def put(path: str, content: bytes) -> None:
            local = folder / "volume" / path.removeprefix(_VOLUME)
            for place in (local, double.workspace.catalog.local_path(path)):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            duck.files.put(path, content, overwrite=True)

        good = staged.events()
        for statement in judged.listed():
            if found := re.search(r"read_files\('([^']+)'", statement):
                name = re.search(r"webhook_\w+_events", found[1])
                rows = good[name[0] if name else "webhook_email_events"]
                for file, part in staged.files(found[1], rows).items():
                    put(file, staged.content(part))
        troubles = {}
        for name, rows in staged.trouble(good).items():
            put(f"{_VOLUME}trouble/{name}.parquet", staged.content(rows))
            troubles[name] = staged.insert(name, f"{_VOLUME}trouble/{name}.parquet")
        judgement = Judgement(
            engine.run, judged.through_double(double.workspace.engine), judged.through_duck(duck)
        )
        judgement.run_all(troubles, _wanted(request.session.items))
        duck.close()
    return judgement


def _wanted(items: list[pytest.Item]) -> set[str]:
    """Names of the results that the chosen tests of this module look at."""
    chosen = [
        one.callspec.params
        for one in items
        if isinstance(one, pytest.Function) and hasattr(one, "callspec")
    ]
    names = {one["statement"] for one in chosen if "statement" in one}
    return names | {judged.again(one["repeated"]) for one in chosen if "repeated" in one}


@pytest.mark.parametrize("statement", _cases(r"SELECT .*|ALTER .*"))
def test_doubles_give_the_names_and_rows_that_spark_gives(
    statement: str, judgement: Judgement
) -> None:
    """If the statement has an ORDER BY, also in that order."""
    given = judgement.given(statement)

    arrange = list if "ORDER BY" in statement else ordered
    if not statement.startswith("SELECT count(*) FROM"):  # a column without a name of ours
        assert given.warehouse.names == given.spark.names
    assert arrange(comparable(given.warehouse.rows)) == arrange(comparable(given.spark.rows))
    if given.duck is not None:
        assert arrange(comparable(given.duck.rows)) == arrange(comparable(given.spark.rows))


@pytest.mark.parametrize("statement", _cases(r"SELECT event_id, count\(\*\) OVER .*"))
def test_verify_finds_the_wrong_rows(statement: str, judgement: Judgement) -> None:
    """Equal results would prove little if all were empty."""
    assert judgement.given(statement).spark.rows


@pytest.mark.parametrize("statement", _cases(judged.LOADS))
def test_merge_inserts_and_counts_the_same_rows(statement: str, judgement: Judgement) -> None:
    """Each staged row, in a table that is empty."""
    given = judgement.given(statement)

    (counts,) = judged.by_name(given.spark)
    assert counts["num_inserted_rows"] == counts["num_affected_rows"] > 0
    assert [counts] == judged.by_name(given.warehouse)
    if given.duck is not None:
        assert judged.by_name(given.duck)[0].items() <= counts.items()


@pytest.mark.parametrize(
    "repeated",
    [
        pytest.param(
            one.values[0],
            id=one.id,
            marks=() if "raw_events" in str(one.id) else pytest.mark.slow,
        )
        for one in _cases(judged.LOADS)
    ],
)
def test_repeated_merge_inserts_nothing(repeated: str, judgement: Judgement) -> None:
    """Neither on Spark nor on the doubles."""
    given = judgement.given(judged.again(repeated))

    assert judged.by_name(given.spark)[0]["num_inserted_rows"] == 0
    assert judged.by_name(given.spark) == judged.by_name(given.warehouse)


@pytest.mark.parametrize("statement", _cases(judged.RENAMES))
def test_rename_changes_and_counts_the_same_rows(statement: str, judgement: Judgement) -> None:
    """Every row of the key, in tables whose rows have the old name."""
    given = judgement.given(statement)

    (counts,) = judged.by_name(given.spark)
    assert counts["num_affected_rows"] == counts.get(
        "num_updated_rows", counts["num_affected_rows"]
    )
    assert counts["num_affected_rows"] > 0
    assert [counts] == judged.by_name(given.warehouse)
    if given.duck is not None:
        assert judged.by_name(given.duck)[0].items() <= counts.items()


@pytest.mark.parametrize("statement", _cases("SHOW .*"))
def test_properties_of_a_table_are_among_those_that_spark_shows(
    statement: str, judgement: Judgement
) -> None:
    """Delta Lake adds its own versions and features."""
    given = judgement.given(statement)

    assert given.warehouse.names == given.spark.names
    assert given.warehouse.rows
    assert set(given.warehouse.rows) <= set(given.spark.rows)


@pytest.mark.parametrize("statement", _cases("DROP .*"))
def test_drop_gives_no_rows(statement: str, judgement: Judgement) -> None:
    """Spark and the double run it."""
    given = judgement.given(statement)

    assert given.spark.rows == []
    assert given.warehouse.rows == []


def test_tables_views_and_trouble_are_made_everywhere(judgement: Judgement) -> None:
    """What the statements need: CREATE TABLE, CREATE VIEW, INSERT."""
    made = [name for name in judgement.results if name not in judged.runnable()]

    assert [judgement.given(name) for name in made]


def test_every_statement_is_judged_or_listed_with_its_reason() -> None:
    """No statement is left out, and each substitution and each reason is used."""
    kinds = ("SELECT .*|ALTER .*", judged.LOADS, judged.RENAMES, "SHOW .*", "DROP .*")
    judged_ones = [
        one for kind in kinds for one in judged.runnable() if re.fullmatch(kind, one, re.DOTALL)
    ]

    assert sorted(judged_ones) == sorted(judged.runnable())
    for one in NOT_RUN:
        assert any(one.pattern.fullmatch(text) for text in judged.listed())
    for other in SUBSTITUTIONS:
        assert any(other.pattern.search(text) for text in judged.runnable())
