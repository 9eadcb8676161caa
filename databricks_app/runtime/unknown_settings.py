"""Log the variables that look like a setting and are none."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from databricks_app.setting_names import unknown_names

log = structlog.get_logger(__name__)


def log_unknown_settings(variables: Iterable[str]) -> None:
    """Log a warning for each of these names that looks like a setting and is none."""
    for one in unknown_names(variables):
        log.warning("unknown_setting", name=one.name, advice=f"{one}. It has no effect")
