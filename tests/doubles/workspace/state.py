"""The state of a workspace: its services answer from it, and tests read it."""

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
        folder: The folder for volumes, tables and workspace files.
        catalog: Unity Catalog.
        tokens: Clients and tokens.
        identities: Users and service principals.
        warehouses: SQL warehouses.
        apps: Databricks Apps.
        scopes: Secret scopes by name.
        permissions: Access control lists by `kind/id`.
        switches: Faults and counters.
        limits: Limits of calls and sizes.
        page_size: Maximum number of entries on a page of a folder.
        workspace_id: Id in the platform's headers.
        presigned: The secret part of a presigned URL.
        describe: Sets operation and statement of a request from its body.
        sessions: Thrift sessions and running statements.
        engine: Runs SQL; `Databricks` sets it.
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
        """Create the folders."""
        self.catalog = Metastore(self.folder)
        self.sessions = Sessions()
        for name in ("volumes", "tables", "workspace", "partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def partial_dir(self) -> Path:
        """Folder for files that are being written."""
        # On the same file system as the volumes, so that a rename is atomic.
        return self.folder / "partial"

    @property
    def tree_dir(self) -> Path:
        """Folder of the workspace files."""
        return self.folder / "workspace"
