"""Workspaces get names, keys are rotated: a delivery belongs to one workspace all the time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from databricks_app.events.record import Record
from databricks_app.events.workspaces import WorkspaceNames
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.lake.renaming import KEYS_IN_RAW, keys_in_raw
from databricks_app.loading.loader import Loader
from databricks_app.operations.workspaces.overview import rename_of
from databricks_app.runtime import status
from databricks_app.runtime.metrics import Metrics
from tests.support.lake_backends import BACKENDS, BothLake, LakeBackend
from tests.support.lake_events import EMAIL, NOON, RAW, body

OLD, NEW, BLOG = "0a1b2c3d", "11111111", "ffffffff"
DELIVERY = "d-1"


@dataclass
class Receiver:
    """An inbox, and a loader that is started again for each drain.

    Attributes:
        backend: The tables.
        folder: Of the inbox.
        statuses: What the loaders said.
    """

    backend: LakeBackend
    folder: Path
    statuses: list[status.LoaderStatus] = field(default_factory=list)

    def store(self, event_id: str, kind: str, key: str, received: bytes | None = None) -> None:
        """Put an event of the delivery into the inbox."""
        content = received or body(event_id, kind, delivery_id=DELIVERY)
        inbox = LocalInbox(self.folder / "inbox")
        inbox.append(Record(content, NOON, "0", key, len(content)), 5)
        inbox.close()

    def drain(self, **names: str) -> None:
        """Load all with a loader that has just started, CIO_WORKSPACES being name by key."""
        lake = self.backend.lake()
        loader = Loader(
            SegmentReader(self.folder / "inbox"),
            lake,
            Metrics(),
            0.01,
            self.statuses.append,
            workspaces=WorkspaceNames({key.removeprefix("k"): name for key, name in names.items()}),
        )
        stop_when_empty(loader)
        loader.run()

    def rename(self, old: str, new: str, **names: str) -> None:
        """`ciolake workspaces rename`."""
        listed = {key.removeprefix("k"): name for key, name in names.items()}
        found = keys_in_raw(self.backend.query(KEYS_IN_RAW))
        change = rename_of(old, new, listed, found)
        assert change is not None
        lake: BothLake = self.backend.lake()
        lake.start()
        lake.rename(change)
        lake.close()

    def workspaces(self) -> dict[str, str]:
        """Workspace by event; raw and typed rows agree."""
        raw = dict(self.backend.rows(RAW, "event_id, workspace"))
        assert dict(self.backend.rows(EMAIL, "event_id, workspace")).items() <= raw.items()
        return raw


def stop_when_empty(loader: Loader) -> None:
    """Stop at the first status that says that nothing is pending."""
    write: Callable[[status.LoaderStatus], None] = loader.write_status

    def write_and_stop(newest: status.LoaderStatus) -> None:
        write(newest)
        if newest.pending_events == 0:
            loader.stopping.set()

    loader.write_status = write_and_stop


@pytest.fixture(params=BACKENDS)
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    """With each store, empty."""
    backend = BACKENDS[request.param](tmp_path / "store")
    yield Receiver(backend, tmp_path)
    backend.close()


def test_a_delivery_sent_before_the_name_and_opened_after_is_one(receiver: Receiver) -> None:
    """Both rows are `default` until the rename, and have the name after it."""
    receiver.store("sent", "email/sent", OLD)
    receiver.drain()
    receiver.store("opened", "email/opened", OLD)
    receiver.drain(k0a1b2c3d="shop")
    assert receiver.workspaces() == {"sent": "default", "opened": "default"}
    assert any("rename default shop" in one for one in receiver.statuses[-1].problems)

    receiver.rename("default", "shop", k0a1b2c3d="shop")
    receiver.store("clicked", "email/clicked", OLD)
    receiver.drain(k0a1b2c3d="shop")

    assert receiver.workspaces() == {"sent": "shop", "opened": "shop", "clicked": "shop"}
    assert receiver.statuses[-1].problems == ()


def test_an_event_that_waits_during_a_rename_gets_the_new_name(receiver: Receiver) -> None:
    """What waits carries its key and no name, which it gets when it is loaded."""
    receiver.store("sent", "email/sent", OLD)
    receiver.drain()
    receiver.store("opened", "email/opened", OLD)

    receiver.rename("default", "shop", k0a1b2c3d="shop")
    receiver.drain(k0a1b2c3d="shop")

    assert receiver.workspaces() == {"sent": "shop", "opened": "shop"}


def test_an_event_that_waits_during_a_rotation_keeps_its_workspace(receiver: Receiver) -> None:
    """The retired key stays listed."""
    receiver.store("sent", "email/sent", OLD)
    receiver.store("opened", "email/opened", NEW)

    receiver.drain(k0a1b2c3d="shop", k11111111="shop")

    assert receiver.workspaces() == {"sent": "shop", "opened": "shop"}


def test_a_new_key_waits_for_the_rename_of_the_old_one(receiver: Receiver) -> None:
    """A rotation before the rename does not divide a delivery."""
    receiver.store("sent", "email/sent", OLD)
    receiver.drain()
    receiver.store("opened", "email/opened", NEW)

    receiver.drain(k0a1b2c3d="shop", k11111111="shop")
    assert receiver.workspaces() == {"sent": "default", "opened": "default"}
    receiver.rename("default", "shop", k0a1b2c3d="shop", k11111111="shop")

    assert receiver.workspaces() == {"sent": "shop", "opened": "shop"}


def test_a_replay_after_a_rotation_keeps_the_workspace(receiver: Receiver) -> None:
    """Whether the old key is still listed or not: the raw row decides."""
    content = body("sent", "email/sent", delivery_id=DELIVERY)
    receiver.store("sent", "email/sent", OLD, content)
    receiver.drain(k0a1b2c3d="shop")

    receiver.store("sent", "email/sent", OLD, content)
    receiver.drain(k11111111="shop")

    assert receiver.workspaces() == {"sent": "shop"}
    assert receiver.backend.rows(RAW, "body_sha256") == [(hashlib.sha256(content).hexdigest(),)]


def test_two_workspaces_stay_apart(receiver: Receiver) -> None:
    """Naming one leaves the events of the other in default."""
    receiver.store("a", "email/sent", OLD)
    receiver.store("b", "email/sent", BLOG)
    receiver.drain()

    receiver.rename("default", "shop", k0a1b2c3d="shop")
    receiver.store("c", "email/sent", BLOG)
    receiver.drain(k0a1b2c3d="shop")

    assert receiver.workspaces() == {"a": "shop", "b": "default", "c": "default"}
