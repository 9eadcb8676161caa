"""Adds an invented object type to a copy of the project, file by file as CONTRIBUTING says.

The type `fax` is a copy of `whatsapp` under another name.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.paths import ROOT

NAME = "fax"
_LIKE = "whatsapp"
_PRODUCT = ("core/", "databricks_app/", "sql/")
# The last part of a UNION ALL that reads the table of `whatsapp`.
_BLOCK = re.compile(
    rf"  UNION ALL\n  SELECT\b(?:(?!UNION ALL).)*?FROM webhook_{_LIKE}_events.*?(?=\n\))", re.DOTALL
)


def files_of_contributing() -> list[str]:
    """Return the product's files and folders that CONTRIBUTING names for an object type.

    The simulator is left out: a message in it is optional.
    """
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    (row,) = re.findall(r"^\| an object type \|([^|]*)\|", text, re.MULTILINE)
    named = [path for path in re.findall(r"`([^`\s]+)`", row) if path.startswith(_PRODUCT)]
    return [path for path in named if "/simulator/" not in path]


def add_to(copy: Path, path: str) -> None:
    """Add the type to one file or folder of a copy of the project."""
    target = copy / path
    if target.is_dir():
        (one,) = target.glob(f"*{_LIKE}*")
        name = one.name.replace(_LIKE, NAME).replace("09_", "10_")
        (target / name).write_text(_renamed(one.read_text("utf-8")), "utf-8")
        return
    text = target.read_text("utf-8")
    if path.startswith("sql/views/"):
        text = _BLOCK.sub(lambda found: found[0] + "\n" + _renamed(found[0]), text)
    elif target.suffix == ".json":
        text = _specified(text)
    else:
        # A list of modules or names, on one line or one a line.
        text = re.sub(rf'(["]?)\b{_LIKE}\b["]?(?=[,)])', rf"\g<0>, \g<1>{NAME}\g<1>", text)
    target.write_text(text, "utf-8")


def _renamed(text: str) -> str:
    return text.replace(_LIKE, NAME)


def _specified(text: str) -> str:
    facts = json.loads(text)
    facts["objects"][NAME] = json.loads(_renamed(json.dumps(facts["objects"][_LIKE])))
    for meaning in facts["meanings"].values():
        if isinstance(meaning, dict) and _LIKE in meaning:
            meaning[NAME] = meaning[_LIKE]
    names = facts["subscription_names"]
    names += [_renamed(name) for name in names if name.startswith(f"{_LIKE}_")]
    return json.dumps(facts)
