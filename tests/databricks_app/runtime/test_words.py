"""Words that fit a count."""

from __future__ import annotations

import pytest

from databricks_app.runtime.words import counted


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 events are here"),
        (1, "1 event is here"),
        (1.0, "1 event is here"),
        (2000, "2,000 events are here"),
    ],
)
def test_the_words_fit_the_number(number: float, expected: str) -> None:
    """Only one is singular."""
    assert counted(number, "[event is|events are] here") == expected
