"""The recipes of examples/, as a test runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.harness.wire import ADMIN_TOKEN, KEY
from tests.support.paths import ROOT

SETTINGS = ROOT / "examples" / "databricks.env.example"


def filled_settings(variables: Mapping[str, str]) -> str:
    """Return the example of settings, with these values where it has a placeholder or a name.

    Args:
        variables: Those of a workspace.
    """
    known = {"CIO_WEBHOOK_SIGNING_KEYS": KEY, "CIO_ADMIN_TOKEN": ADMIN_TOKEN, **variables}
    text = re.sub(
        r"^([A-Z_]+)=(.*)$",
        lambda line: f"{line[1]}={known.get(line[1], line[2])}",
        SETTINGS.read_text("utf-8"),
        flags=re.MULTILINE,
    )
    assert not re.search("^[A-Z_]+=<", text, re.MULTILINE), "a placeholder has no value"
    return text


def write_settings(path: Path, variables: Mapping[str, str]) -> None:
    """Write the filled example, readable by its owner alone, as the recipes say it."""
    path.touch(0o600)
    path.write_text(filled_settings(variables), "utf-8")


def is_stored(body: bytes, inbox: Path) -> bool:
    """Return whether a segment of a local inbox has this body. The loader must not have it yet."""
    return any(body in path.read_bytes() for path in inbox.iterdir())
