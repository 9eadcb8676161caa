"""Sessions and statements of the Thrift protocol."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.doubles.warehouse.executions import Execution
    from tests.doubles.warehouse.queries import Session


@dataclass(slots=True)
class Sessions:
    """The open sessions and statements of one double, by handle."""

    sessions: dict[bytes, Session] = field(default_factory=dict)
    operations: dict[bytes, Execution] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
