"""The errors of the receiver are one tree, and its module draws all of it."""

from __future__ import annotations

import databricks_app
from databricks_app import errors
from databricks_app.errors import ReceiverError
from tests.support.error_trees import declared, drawn


def test_the_drawing_is_the_tree() -> None:
    """Every error, wherever it is declared, with its parent and nothing else."""
    assert drawn(errors.__doc__ or "", "ReceiverError") == declared(databricks_app, ReceiverError)


def test_an_error_has_one_meaning() -> None:
    """No two of them share a name."""
    found = [name for name, _ in declared(databricks_app, ReceiverError)]

    assert len(found) == len(set(found))
