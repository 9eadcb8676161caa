"""List prices of Databricks, Premium, without a discount. Pure.

Sources: the DBU an hour of warehouses and of a MEDIUM app are from the documentation of Databricks.
The USD a DBU are from secondary sources, of December 2025 and July 2026; region and contract
differ. All were read on the day `AS_OF`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

AS_OF = "2026-11-30"
"""The day on which the prices were read."""
MONTH_DAYS = 30.4
LEAST_SIZE = "2X-Small"
SQL_DBU_PER_HOUR: Mapping[str, float] = MappingProxyType(
    {LEAST_SIZE: 4.0, "X-Small": 6.0, "Small": 12.0, "Medium": 24.0, "Large": 40.0}
)
"""DBU an hour of a serverless SQL warehouse, by size."""
SQL_USD_PER_DBU = 0.70
"""Serverless SQL, in the US regions of AWS, Azure and GCP."""
SQL_USD_PER_DBU_EU = 0.91
APP_DBU_PER_HOUR: Mapping[str, float] = MappingProxyType({"MEDIUM": 0.5, "LARGE": 1.0})
APP_USD_PER_DBU: Mapping[str, float] = MappingProxyType(
    {"aws us": 0.75, "gcp us": 0.75, "azure us": 0.95, "aws eu": 0.79, "azure eu": 1.00}
)
USD_PER_1000_CALLS = 0.005
"""Puts and lists of the cloud's object storage, behind a volume."""


def app_usd_a_month(size: str = "MEDIUM", place: str = "aws us") -> float:
    """Return what an app costs that runs day and night; an idle app costs the same."""
    return APP_DBU_PER_HOUR[size] * APP_USD_PER_DBU[place] * 24 * MONTH_DAYS
