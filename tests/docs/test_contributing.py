"""CONTRIBUTING names the rooms, files and tests that are there."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
ROOMS, *_ = re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
# A file or folder in the text; commands and names of other things have no slash or known ending.
PATHS = sorted(
    set(
        re.findall(
            r"`((?:\w[\w/.-]*|\.[a-z]\w*[\w.]*)(?:/|\.(?:py|sql|md|json|yaml|example)))`", TEXT
        )
    )
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_is_named_exists(path: str) -> None:
    """A reader who adds something finds the place."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize("top", ["core", "databricks_app"])
def test_the_drawing_has_every_room(top: str) -> None:
    """No more and no fewer folders than there are."""
    part = ROOMS[ROOMS.index(f"{top}/") :].partition("\n")[2]
    drawn = []
    for line in part.splitlines():
        if not line.startswith("  "):
            break
        drawn.append(line.strip().partition("/")[0])

    there = {path.relative_to(ROOT / top).parts[0] for path in (ROOT / top).glob("*/**/*.py")}
    assert set(drawn) == there
