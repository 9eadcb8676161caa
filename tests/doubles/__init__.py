"""Doubles of a Databricks workspace and SQL warehouse that speak the real protocols.

`Databricks` serves REST and Thrift on one loopback port; `python -m tests.doubles --dir D` does the
same in its own process. Each module says what it does not simulate. README.md lists where the
double is stricter than the platform may be, and where it is more lenient.
"""

from tests.doubles.databricks import (
    CLIENT_ID,
    CLIENT_SECRET,
    TOKEN,
    USER,
    WAREHOUSE_ID,
    Databricks,
)
from tests.doubles.faults import Fault, FaultSwitches
from tests.doubles.workspace.limits import Limits, relaxed

__all__ = [
    "CLIENT_ID",
    "CLIENT_SECRET",
    "TOKEN",
    "USER",
    "WAREHOUSE_ID",
    "Databricks",
    "Fault",
    "FaultSwitches",
    "Limits",
    "relaxed",
]
