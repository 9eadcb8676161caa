"""Log the variables that have no effect: no setting, or one that this version or store ignores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from databricks_app.setting_names import WITHOUT_EFFECT, unknown_names
from databricks_app.settings import Settings

log = structlog.get_logger(__name__)


def log_unknown_settings(variables: Iterable[str]) -> None:
    """Log a warning for each of these names that looks like a setting and is none."""
    for one in unknown_names(variables):
        log.warning("unknown_setting", name=one.name, advice=f"{one}. It has no effect")


def log_unused_settings(settings: Settings, variables: Mapping[str, str]) -> None:
    """Log a warning for each setting of an earlier version, or that this store does not use."""
    unused = {
        name: "it has no effect any more and can be removed"
        for name in WITHOUT_EFFECT & variables.keys()
    }
    if settings.store == "databricks" and "CIO_FLUSH_INTERVAL_SECONDS" in variables:
        unused["CIO_FLUSH_INTERVAL_SECONDS"] = (
            "with CIO_STORE=databricks it has no effect: set CIO_FRESHNESS_SECONDS instead"
        )
    for name, advice in sorted(unused.items()):
        log.warning("unused_setting", name=name, advice=advice)
