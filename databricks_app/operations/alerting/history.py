"""Keeps the history of the alert rules across a reload, in the run folder.

The counters in the run folder survive a reload. Without the history of the rules, the new process
would take all that was counted for new, and would not know for how long the feed has been silent.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from databricks_app.operations.alerting.rules import AlertChange, AlertRules, RulesHistory, Sample

_FILE = "alert-history.json"
# An earlier version has written other fields.
_UNREADABLE = (OSError, ValueError, TypeError, KeyError)


def save(folder: Path, rules: AlertRules, waiting: Iterable[AlertChange]) -> None:
    """Save the history, and the changes that are not delivered yet.

    Raises:
        OSError: There is no room in the run folder.
    """
    history = rules.history
    content = {
        "history": {
            "samples": [asdict(one) for one in history.samples],
            "pauses": list(history.pauses),
            "last_event_at": history.last_event_at,
            "seen": history.seen,
            "refused_in_row": dict(history.refused_in_row),
            "refused_at": history.refused_at,
        },
        "waiting": [asdict(one) for one in waiting],
    }
    made = folder / f"{_FILE}.new"
    made.write_text(json.dumps(content))
    made.replace(folder / _FILE)


def take(folder: Path) -> tuple[RulesHistory, list[AlertChange]] | None:
    """Return what `save` has saved, and delete it; None if there is nothing."""
    path = folder / _FILE
    try:
        content = json.loads(path.read_text())
        path.unlink()
        return _history(content["history"]), [AlertChange(**one) for one in content["waiting"]]
    except _UNREADABLE:
        return None


def _history(content: dict[str, Any]) -> RulesHistory:
    return RulesHistory(
        samples=deque(
            Sample(**{**one, "suspects": tuple(one["suspects"]), "keys": tuple(one["keys"])})
            for one in content.pop("samples")
        ),
        pauses=deque((at, seconds) for at, seconds in content.pop("pauses")),
        refused_in_row=Counter(content.pop("refused_in_row")),
        **content,
    )
