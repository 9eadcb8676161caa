"""What whole installations cost a month: warehouse, machine, relay and calls. Pure.

The costs beside the warehouse and the app are rounded list prices of AWS in the US, read on
`prices.AS_OF`: a small machine with a disk, a container, a relay that is billed by the call, and
the puts of a volume inbox at two objects a second.
"""

from __future__ import annotations

from dataclasses import dataclass

from databricks_app.operations.costs import prices
from databricks_app.operations.costs.model import VOLUMES, DayTraffic, WarehouseChoice, price

EARLIER_DEFAULT = WarehouseChoice(freshness_seconds=2.0, auto_stop_minutes=10.0)
"""A load every two seconds, and the auto-stop that a new warehouse has by default."""
OWN_WAREHOUSE = WarehouseChoice(auto_stop_minutes=1.0)
STOPPED_WAREHOUSE = WarehouseChoice(auto_stop_minutes=1.0, stops=True)
_RELAY_AND_PUTS = (8.0, 44.0, 469.0)
_MACHINE = (18.0, 18.0, 36.0)
_CONTAINER_AND_PUTS = (36.0, 54.0, 54.0)


@dataclass(frozen=True, slots=True)
class Topology:
    """One way to run the receiver.

    Attributes:
        name: Its parts.
        warehouse: How its warehouse is used.
        has_app: Whether it runs as a Databricks App.
        other_usd: USD a month of everything else, for each of `VOLUMES`.
    """

    name: str
    warehouse: WarehouseChoice
    has_app: bool
    other_usd: tuple[float, float, float]

    def usd(self, traffic: DayTraffic) -> float:
        """Return the USD a month at one of `VOLUMES`."""
        app = prices.app_usd_a_month() if self.has_app else 0.0
        other = self.other_usd[VOLUMES.index(traffic)]
        return app + other + price(self.warehouse, traffic).usd


def topologies() -> tuple[Topology, ...]:
    """Return the topologies of `docs/deployment.md`; the first one is the earlier default."""
    return (
        Topology("app + relay, a load every 2 s", EARLIER_DEFAULT, True, _RELAY_AND_PUTS),
        Topology("app + relay, auto-stop 1 min", OWN_WAREHOUSE, True, _RELAY_AND_PUTS),
        Topology("machine with a disk, auto-stop 1 min", OWN_WAREHOUSE, False, _MACHINE),
        Topology("machine with a disk, loader stops", STOPPED_WAREHOUSE, False, _MACHINE),
        Topology(
            "container without a disk, auto-stop 1 min", OWN_WAREHOUSE, False, _CONTAINER_AND_PUTS
        ),
    )
