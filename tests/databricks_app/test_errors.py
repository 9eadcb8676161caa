"""The errors of the receiver form one tree, which the module's docstring shows."""

from __future__ import annotations

import databricks_app
from databricks_app import errors
from databricks_app.errors import ReceiverError
from tests.support.error_trees import declared, drawn


def test_the_docstring_shows_the_tree() -> None:
    """Every error with its parent, and no other."""
    assert drawn(errors.__doc__ or "", "ReceiverError") == declared(databricks_app, ReceiverError)


def test_no_two_errors_share_a_name() -> None:
    """Names are unique."""
    found = [name for name, _ in declared(databricks_app, ReceiverError)]

    assert len(found) == len(set(found))
