"""The rooms, files and tests that CONTRIBUTING.md names exist."""

from __future__ import annotations

import re

import pytest

from tests.support.paths import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
ROOMS, *_ = re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
# Files and folders in back-ticks: a text with a slash at its end or a known file ending.
PATHS = sorted(
    set(
        re.findall(
            r"`((?:\w[\w/.-]*|\.[a-z]\w*[\w.]*)(?:/|\.(?:py|sql|md|json|yaml|example)))`", TEXT
        )
    )
)


def test_every_path_in_the_text_exists() -> None:
    """A reader who wants to add something must find the file."""
    missing = [path for path in PATHS if not (ROOT / path).exists()]

    assert missing == []
    assert len(PATHS) > 40, "the pattern finds no paths any more"


@pytest.mark.parametrize("top", ["core", "databricks_app"])
def test_the_drawing_has_every_room(top: str) -> None:
    """The drawing names exactly the folders that exist."""
    part = ROOMS[ROOMS.index(f"{top}/") :].partition("\n")[2]
    drawn = []
    for line in part.splitlines():
        if not line.startswith("  "):
            break
        drawn.append(line.strip().partition("/")[0])

    there = {path.relative_to(ROOT / top).parts[0] for path in (ROOT / top).glob("*/**/*.py")}
    assert set(drawn) == there
