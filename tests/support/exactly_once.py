"""That each event stands exactly once in the local tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.harness.exactly_once import raw_ids, verdict


def assert_exactly_once(folder: Path, ids: Iterable[str]) -> None:
    """Check that exactly these stand in the raw table, each once, and that the tables agree."""
    assert raw_ids(folder) == sorted(set(ids))
    assert verdict(folder).differences == ()
