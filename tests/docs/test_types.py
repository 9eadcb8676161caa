"""The Python blocks of all pages have no type errors: mypy --strict and pyright."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A folder with one module a page: its blocks, in order."""
    for page in PAGES:
        if blocks := BLOCK.findall(page.read_text(encoding="utf-8")):
            name = page.stem.lower().replace("-", "_")
            (tmp_path / f"page_{name}.py").write_text("\n".join(blocks))
    assert (tmp_path / "page_app_api.py").exists()
    return tmp_path


def run(*command: str, **environment: str) -> str:
    """Run a module of this Python; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=110,
    )
    return done.stdout + done.stderr


def test_mypy_finds_nothing(pages: Path) -> None:
    """In strict mode, as in the editor of somebody who copies a block."""
    modules = sorted(map(str, pages.glob("*.py")))

    said = run(
        "mypy",
        "--strict",
        "--config-file=",
        "--explicit-package-bases",
        f"--cache-dir={pages}/cache",
        *modules,
        MYPYPATH=str(ROOT),
    )

    assert said == f"Success: no issues found in {len(modules)} source files\n"


def test_mypy_accepts_the_facts_of_the_wire(pages: Path) -> None:
    """Values that official clients send are values of our types: kinds, channels, filters."""
    said = run(
        "mypy",
        "--strict",
        "--config-file=",
        "--explicit-package-bases",
        f"--cache-dir={pages}/cache",
        "tests/support/wire_facts.py",
    )

    assert said == "Success: no issues found in 1 source file\n"


@pytest.mark.skipif(find_spec("pyright") is None, reason="pyright is not installed")
def test_pyright_finds_nothing(pages: Path) -> None:
    """It also refuses to read a field of an answer that the vendor may leave out."""
    settings = {"include": ["."], "extraPaths": [str(ROOT)], "pythonVersion": "3.11"}
    (pages / "pyrightconfig.json").write_text(json.dumps(settings))

    said = run("pyright", "--project", str(pages), "--pythonpath", sys.executable)

    assert said == "0 errors, 0 warnings, 0 informations\n"
