"""Prices in words, for `ciolake deploy` and `ciolake doctor`. Pure."""

from __future__ import annotations

from databricks_app.operations.costs import prices
from databricks_app.operations.costs.model import VOLUMES, WarehouseChoice, price

DOCUMENT = 'docs/databricks-store.md, "What it costs"'


def price_words(choice: WarehouseChoice, what: str) -> list[str]:
    """Return what a warehouse costs a month at three volumes, and where that comes from.

    Args:
        choice: How it is used.
        what: Which warehouse it is.
    """
    if choice.size not in prices.SQL_DBU_PER_HOUR:
        return [f"unknown: there is no price for a warehouse of the size {choice.size}"]
    usd = ", ".join(f"{price(choice, one).usd:,.0f} at {one.name}" for one in VOLUMES)
    return [
        f"USD a month: about {usd} ({what}; {how_words(choice)})",
        source_words(choice),
    ]


def how_words(choice: WarehouseChoice) -> str:
    """Return freshness, auto-stop and size in words."""
    if choice.stops:
        stop = "the loader stops it"
    elif not choice.auto_stop_minutes:
        stop = "it never stops"
    else:
        stop = f"auto-stop {choice.auto_stop_minutes:g} min"
    return f"{choice.size}, freshness {choice.freshness_seconds:g} s, {stop}"


def source_words(choice: WarehouseChoice) -> str:
    """Return the prices behind a figure, with their date."""
    hourly = prices.SQL_DBU_PER_HOUR[choice.size]
    return (
        f"An estimate: {hourly:g} DBU an hour at {choice.usd_per_dbu:.2f} USD, the list price of "
        f"serverless SQL in the US on {prices.AS_OF} (EU {prices.SQL_USD_PER_DBU_EU:.2f}); see "
        f"{DOCUMENT}"
    )
