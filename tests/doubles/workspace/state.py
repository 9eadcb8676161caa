"""Everything a workspace holds, for its services to answer from and for tests to look into."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.doubles.faults import FaultSwitches
from tests.doubles.messages import Request
from tests.doubles.warehouse.sessions import Sessions
from tests.doubles.workspace.apps import Apps
from tests.doubles.workspace.identity import Identities
from tests.doubles.workspace.limits import Limits
from tests.doubles.workspace.metastore import Metastore
from tests.doubles.workspace.secret_scopes import Scope
from tests.doubles.workspace.tokens import Tokens
from tests.doubles.workspace.warehouses import Warehouses

if TYPE_CHECKING:
    from tests.doubles.warehouse.statements import Engine


@dataclass(slots=True)
class Workspace:
    """One workspace.

    Attributes:
        folder: Where its volumes, tables and workspace files lie.
        catalog: Unity Catalog.
        tokens: Who may ask.
        identities: Users and service principals.
        warehouses: SQL warehouses.
        apps: Databricks Apps.
        scopes: Secret scopes by name.
        permissions: Access control lists by `kind/id`.
        switches: Faults and counters.
        limits: How many calls it takes, and how large.
        page_size: Most entries of a page of a folder.
        workspace_id: As in the platform's headers.
        presigned: The part of a presigned URL that nobody else knows.
        describe: Fills in what only a request's body tells: its operation and statement.
        sessions: Thrift sessions, and statements under way.
        engine: Runs SQL; set by whoever joins the parts.
    """

    folder: Path
    switches: FaultSwitches = field(default_factory=FaultSwitches)
    limits: Limits = field(default_factory=Limits)
    tokens: Tokens = field(default_factory=Tokens)
    identities: Identities = field(default_factory=Identities)
    warehouses: Warehouses = field(default_factory=Warehouses)
    apps: Apps = field(default_factory=Apps)
    scopes: dict[str, Scope] = field(default_factory=dict)
    permissions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page_size: int = 1000
    workspace_id: str = "1234567890123456"
    presigned: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    describe: Callable[[Request], None] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    catalog: Metastore = field(init=False)
    engine: Engine = field(init=False)
    sessions: Sessions = field(init=False)

    def __post_init__(self) -> None:
        """Make the folders."""
        self.catalog = Metastore(self.folder)
        self.sessions = Sessions()
        for name in ("volumes", "tables", "workspace", "partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def partial_dir(self) -> Path:
        """Where files are written before they appear, on the same file system."""
        return self.folder / "partial"

    @property
    def tree_dir(self) -> Path:
        """Workspace files."""
        return self.folder / "workspace"
