"""What a warehouse is sent is what docs/databricks-statements.sql lists, and is Databricks SQL."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from tests.support import sent_statements

# The parser takes these as words it does not look into.
COMMANDS = ("SHOW GRANTS", "SHOW TBLPROPERTIES")

# The first test waits for the receiver, the loader and a dozen commands.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every statement, once."""
    return sent_statements.sent(tmp_path_factory.mktemp("sent"))


@pytest.mark.slow
def test_the_file_lists_every_statement_that_is_sent(sent: list[str]) -> None:
    """`python -m tests.support.sent_statements` writes it anew."""
    assert sent_statements.FILE.read_text(encoding="utf-8") == sent_statements.text(sent)


@pytest.mark.slow
def test_every_statement_is_of_sql_or_has_one_purpose(sent: list[str]) -> None:
    """A new one needs a place in the file."""
    files = sent_statements.of_files()

    assert files <= set(sent)
    for one in set(sent) - files:
        assert len(sent_statements.purposes(one)) == 1, one


@pytest.mark.slow
def test_every_statement_is_databricks_sql(sent: list[str]) -> None:
    """The parser of the dialect reads each as one statement whose meaning it knows."""
    for one in sent:
        (tree,) = sqlglot.parse(one, dialect="databricks")
        assert tree is not None
        assert one.startswith(COMMANDS) or not isinstance(tree, exp.Command), one


def test_the_file_is_databricks_sql() -> None:
    """Also where nothing was recorded."""
    trees = sqlglot.parse(sent_statements.FILE.read_text(encoding="utf-8"), dialect="databricks")

    merges = [one for one in trees if isinstance(one, exp.Merge)]
    loads = [one for one in merges if one.this.alias == "target"]
    renames = [one for one in merges if one.this.alias == "typed"]
    assert len({one.this.name for one in loads if one.this.name.startswith("webhook_")}) == 9
    assert len(renames) == 8
