"""Names of columns: the double of a warehouse accepts none that Spark refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from databricks_app.lake import sql_dialect
from tests.doubles import Databricks
from tests.doubles.warehouse.failures import SqlFailure
from tests.spark import judged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.spark.engine import Answer, SparkEngine

    Run = Callable[[str], Answer]

REFUSED = [
    "SELECT count(e) FROM webhook_sms_events AS e",
    "SELECT webhook_sms_events FROM webhook_sms_events",
    "SELECT e.e.metric FROM webhook_sms_events AS e",
    "SELECT other.webhook_sms_events.metric FROM webhook_sms_events",
    "SELECT nothing FROM webhook_sms_events",
    "SELECT e.nothing FROM webhook_sms_events AS e",
    "SELECT webhook_sms_events.metric FROM webhook_sms_events AS e",
    "SELECT * FROM webhook_sms_events AS e, (SELECT e.metric AS m) AS x",
    "SELECT 1 FROM webhook_sms_events a JOIN webhook_email_events b USING (a.event_id)",
    "WITH e AS (SELECT metric FROM webhook_sms_events) SELECT event_id FROM e",
]
TAKEN = [
    "SELECT e.metric FROM webhook_sms_events AS e",
    "SELECT metric FROM webhook_email_events AS metric",
    "SELECT cio.webhook_sms_events.metric FROM cio.webhook_sms_events",
    "SELECT e.*, x.m FROM webhook_sms_events AS e, LATERAL (SELECT e.metric AS m) AS x",
    "SELECT event_id FROM webhook_sms_events a JOIN webhook_email_events b USING (event_id)",
    "SELECT t.headers.x FROM webhook_email_events AS t",
    "SELECT r.d.device_id FROM webhook_push_events LATERAL VIEW explode(recipients) r AS d",
    "SELECT metric AS m, count(*) AS n FROM webhook_sms_events GROUP BY m HAVING n > 1 ORDER BY n",
    "SELECT (SELECT max(b.metric) FROM webhook_sms_events b WHERE b.event_id = a.event_id) AS m"
    " FROM webhook_email_events a",
]


@pytest.fixture(scope="module")
def spark_run(engine_in: Callable[..., SparkEngine]) -> Run:
    """Spark with empty tables, in a schema that stands for `cio`."""
    engine = engine_in()
    engine.make("tables")
    schema = engine.spark.catalog.currentDatabase()
    return lambda sql: engine.run(sql.replace("cio.", f"{schema}."))


@pytest.fixture(scope="module")
def double_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The double with the same tables."""
    with Databricks(tmp_path_factory.mktemp("names"), volume="main.cio.events") as workspace:
        run = judged.through_double(workspace.workspace.engine)
        for table in sql_dialect.tables():
            run(table.sql, {})
        yield lambda sql: run(sql, {})


@pytest.mark.parametrize("sql", REFUSED)
def test_name_that_spark_refuses_is_refused(sql: str, spark_run: Run, double_run: Run) -> None:
    """Both errors have an error class."""
    with pytest.raises(Exception, match=r"\[(UNRESOLVED_COLUMN|PARSE_SYNTAX_ERROR)"):
        spark_run(sql)
    with pytest.raises(SqlFailure, match=r"\[(UNRESOLVED_COLUMN|PARSE_SYNTAX_ERROR)"):
        double_run(sql)


@pytest.mark.parametrize("sql", TAKEN)
def test_name_that_spark_accepts_is_accepted(sql: str, spark_run: Run, double_run: Run) -> None:
    """The result has the same column names."""
    assert double_run(sql).names == spark_run(sql).names
