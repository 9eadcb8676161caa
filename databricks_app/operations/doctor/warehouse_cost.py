"""The check `cost`: settings that make the SQL warehouse expensive, and the cheaper ones.

It asks the workspace's API to describe the warehouse. That is no statement, so it wakes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from databricks_app.databricks.warehouse_api import TAG, TAG_VALUE
from databricks_app.operations.costs import prices
from databricks_app.operations.costs.model import VOLUMES, WarehouseChoice, price
from databricks_app.operations.costs.words import how_words, price_words, source_words
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.databricks import describe
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning

_FRESHNESS = "CIO_FRESHNESS_SECONDS"
_FLUSH = "CIO_FLUSH_INTERVAL_SECONDS"
_LEAST_FRESHNESS_SECONDS = 600.0
_USUAL_FRESHNESS_SECONDS = 900.0
_LONGEST_AUTO_STOP_MINUTES = 5.0
_LEAST_AUTO_STOP_MINUTES = 1.0
_DEFAULT_AUTO_STOP_MINUTES = 10.0


@dataclass(frozen=True, slots=True)
class Saving:
    """An expensive setting.

    Attributes:
        says: What it is.
        fix: The cheaper one.
        cheaper: The choice with it; None if its price is not known.
    """

    says: str
    fix: str
    cheaper: WarehouseChoice | None = None


def cost(context: DoctorContext) -> CheckResult:
    """Name each setting that makes the warehouse expensive, and what the cheaper one saves."""
    name = context.settings.warehouse_id
    if not name:
        return skipped("no SQL warehouse is configured")
    described = describe(context, name)
    if isinstance(described, CheckResult):
        return described
    minutes = described.get("auto_stop_mins")
    tags = (described.get("tags") or {}).get("custom_tags") or ()
    is_own = any(one.get("key") == TAG and one.get("value") == TAG_VALUE for one in tags)
    choice = WarehouseChoice(
        freshness_seconds=context.settings.freshness_seconds,
        auto_stop_minutes=_DEFAULT_AUTO_STOP_MINUTES if minutes is None else float(minutes),
        stops=context.settings.is_warehouse_stopped and is_own,
        size=str(described.get("cluster_size")),
    )
    is_serverless = bool(described.get("enable_serverless_compute"))
    found = list(_savings(choice, is_serverless=is_serverless))
    if _FLUSH in context.variables:
        words = f"{_FLUSH} is set and has no effect with CIO_STORE=databricks"
        found.append(Saving(words, f"remove {_FLUSH}; {_FRESHNESS} decides"))
    if not found:
        return ok(" ".join(price_words(choice, "if nobody else uses it")))
    source = ""
    if is_serverless and choice.size in prices.SQL_DBU_PER_HOUR:
        source = f". {source_words(choice)}"
    says = "; ".join(one.says for one in found)
    return warning(
        f"{how_words(choice)}: {says}{source}",
        "\n".join(
            one.fix + (_difference(choice, one.cheaper) if is_serverless else "") for one in found
        ),
    )


def _savings(choice: WarehouseChoice, *, is_serverless: bool) -> Iterator[Saving]:
    """Yield what is expensive, each with the choice in which only this is changed."""
    if choice.freshness_seconds < _LEAST_FRESHNESS_SECONDS:
        yield Saving(
            f"{_FRESHNESS}={choice.freshness_seconds:g} wakes the warehouse often",
            f"set {_FRESHNESS}={_USUAL_FRESHNESS_SECONDS:g}; for fresh rows in the hours in which "
            "people use the warehouse anyway set CIO_WAREHOUSE_HOURS",
            replace(choice, freshness_seconds=_USUAL_FRESHNESS_SECONDS),
        )
    minutes = choice.auto_stop_minutes
    if not choice.stops and not 0 < minutes <= _LONGEST_AUTO_STOP_MINUTES:
        says = f"its auto-stop is {minutes:g} min" if minutes else "it has no auto-stop"
        yield Saving(
            f"{says}, and it is billed while it is idle",
            f"set its auto-stop to {_LEAST_AUTO_STOP_MINUTES:g} min, or the least that the "
            "workspace accepts (its page 5 min, its API perhaps 1), or make one for the loader "
            "alone with `ciolake deploy --warehouse new`",
            replace(choice, auto_stop_minutes=_LEAST_AUTO_STOP_MINUTES),
        )
    if choice.size != prices.LEAST_SIZE:
        yield Saving(
            f"its size is {choice.size}",
            f"make it {prices.LEAST_SIZE}, unless the backlog grows",
            replace(choice, size=prices.LEAST_SIZE),
        )
    if not is_serverless:
        yield Saving(
            "it is not serverless: it starts in minutes, and the cloud bills its machines too",
            "use a serverless warehouse",
        )


def _difference(choice: WarehouseChoice, cheaper: WarehouseChoice | None) -> str:
    """Return what the cheaper choice saves a month, from the least to the most."""
    if cheaper is None or choice.size not in prices.SQL_DBU_PER_HOUR:
        return ""
    saved = [price(choice, one).usd - price(cheaper, one).usd for one in VOLUMES]
    low, high = max(0.0, min(saved)), max(saved)
    if high < 1:
        return " (saves nothing by itself; see the other fixes)"
    return (
        f" (saves about {low:,.0f} to {high:,.0f} USD a month, by the number of events: "
        f"{VOLUMES[0].name} to {VOLUMES[-1].name})"
    )
