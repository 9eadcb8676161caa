"""The texts about settings that are written from the code, so that each meaning is written once.

`python -m tests.support.setting_tables` writes them into `.env.example`, the README and
docs/deployment.md. A test fails while a file differs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

from databricks_app.relay.settings import RELAY_SETTINGS
from databricks_app.setting_table import SETTINGS
from databricks_app.setting_values import Setting
from tests.support.paths import ROOT

EXAMPLE = ROOT / ".env.example"
README = ROOT / "README.md"
DEPLOYMENT = ROOT / "docs" / "deployment.md"

_EXAMPLE_HEAD = """\
# Copy this file to `.env` and remove the `#` in front of the settings that you want to change. Each
# line shows the default. Environment variables override the file. A Databricks App does not read
# this file: its settings are in app.yaml.
"""


def example() -> str:
    """The content of `.env.example`: every setting with its meaning, commented out."""
    blocks = [_EXAMPLE_HEAD]
    for one in SETTINGS:
        meaning = textwrap.fill(
            one.meaning,
            width=100,
            initial_indent="# ",
            subsequent_indent="# ",
            break_on_hyphens=False,
        )
        blocks.append(f"{meaning}\n#{one.name}={one.default}\n")
    return "\n".join(blocks)


def table(head: str, settings: Iterable[Setting]) -> str:
    """A Markdown table of settings.

    Args:
        head: Title of the first column, by which the table is found again.
        settings: Its rows.
    """
    lines = [f"| {head} | Default | Meaning |", "| --- | --- | --- |"]
    for one in settings:
        names = " or ".join(f"`{name}`" for name in (one.name, *one.also))
        default = f"`{one.default}`" if one.default else ""
        if one.databricks_default:
            default += f"; `{one.databricks_default}` with `CIO_STORE=databricks`"
        lines.append(f"| {names} | {default} | {one.meaning} |")
    return "\n".join(lines) + "\n"


def with_table(text: str, head: str, settings: Iterable[Setting]) -> str:
    """A document whose table with this head is replaced."""
    before, mark, rest = text.partition(f"| {head} | Default | Meaning |\n")
    assert mark, f"no table | {head} | Default | Meaning |"
    lines = rest.splitlines(keepends=True)
    end = next(n for n, line in enumerate(lines) if not line.startswith("|"))
    return before + table(head, settings) + "".join(lines[end:])


def documents() -> dict[Path, str]:
    """What each file should contain."""
    readme = README.read_text("utf-8")
    deployment = DEPLOYMENT.read_text("utf-8")
    return {
        EXAMPLE: example(),
        README: with_table(readme, "Setting", SETTINGS),
        DEPLOYMENT: with_table(deployment, "Relay setting", RELAY_SETTINGS),
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, "utf-8")
