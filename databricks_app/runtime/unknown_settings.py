"""Log the variables that look like a setting and have no effect."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from databricks_app.setting_names import WITHOUT_EFFECT, unknown_names

log = structlog.get_logger(__name__)


def log_unknown_settings(variables: Iterable[str]) -> None:
    """Log a warning for each of these names that is no setting, or one of an earlier version."""
    variables = set(variables)
    for one in unknown_names(variables):
        log.warning("unknown_setting", name=one.name, advice=f"{one}. It has no effect")
    for name in sorted(variables & WITHOUT_EFFECT):
        log.warning("setting_without_effect", name=name, advice=f"{name} can be removed")
