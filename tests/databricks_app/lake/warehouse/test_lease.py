"""One loader at a time, without a lock and without comparing clocks."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.errors import LakeError
from databricks_app.lake import KeptLease, Standby
from databricks_app.lake.warehouse.lease import Lease
from tests.support.volume_files import MemoryFiles

FOLDER = "/Volumes/main/cio/events/lease"


class Clock:
    """A clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.seconds


def lease_in(
    files: MemoryFiles, clock: Clock, owner: str | None = None, statement_seconds: float = 0
) -> Lease:
    """A lease that only the test renews."""
    return Lease(
        files,
        FOLDER,
        owner=owner,
        statement_seconds=statement_seconds,
        silence_seconds=30,
        renew_seconds=0,
        monotonic=clock,
    )


def is_taken(lease: Lease) -> bool:
    """Whether the lease could be taken now."""
    try:
        lease.take()
    except Standby:
        return False
    return True


def test_first_instance_takes_the_lease_and_the_second_is_on_standby() -> None:
    """There is one owner."""
    files, clock = MemoryFiles(), Clock()
    first, second = lease_in(files, clock), lease_in(files, clock)

    assert is_taken(first)
    assert not is_taken(second)
    first.confirm()


def test_lease_of_a_silent_owner_is_taken_over_after_the_silence_limit() -> None:
    """The count has not changed for 30 s on the clock of the other instance."""
    files, clock = MemoryFiles(), Clock()
    first, second = lease_in(files, clock), lease_in(files, clock)
    first.take()
    assert not is_taken(second)
    clock.seconds = 29.9
    assert not is_taken(second)
    clock.seconds = 30

    assert is_taken(second)
    with pytest.raises(Standby):
        first.confirm()


@pytest.mark.parametrize("own_seconds", [0, 1000])
def test_take_over_waits_for_the_last_statement_of_a_silent_owner(own_seconds: float) -> None:
    """The timeout in the object of the owner counts, not the timeout of the other instance."""
    files, clock = MemoryFiles(), Clock()
    first = lease_in(files, clock, statement_seconds=301)
    second = lease_in(files, clock, statement_seconds=own_seconds)
    first.take()
    assert not is_taken(second)
    clock.seconds = 330.9
    assert not is_taken(second)
    clock.seconds = 331

    assert is_taken(second)


def test_owner_of_an_older_release_is_waited_for_like_a_current_one() -> None:
    """Its object has no statement timeout."""
    files, clock = MemoryFiles(), Clock()
    old = {"holder": "old", "renewals": 3, "is_released": False}
    files.put(f"{FOLDER}/00000004.json", json.dumps(old).encode(), overwrite=True)
    lease = lease_in(files, clock, statement_seconds=301)
    assert not is_taken(lease)
    clock.seconds = 330.9
    assert not is_taken(lease)
    clock.seconds = 331

    assert is_taken(lease)


def test_released_lease_is_taken_without_waiting_for_statements() -> None:
    """Its owner sends no statements any more, and its last one has ended."""
    files, clock = MemoryFiles(), Clock()
    first = lease_in(files, clock, statement_seconds=301)
    first.take()
    first.release()

    assert is_taken(lease_in(files, clock))


def test_owner_that_renews_keeps_the_lease() -> None:
    """However long the other instance waits."""
    files, clock = MemoryFiles(), Clock()
    first, second = lease_in(files, clock), lease_in(files, clock)
    first.take()

    for _ in range(20):
        clock.seconds += 20
        first.renew()
        assert not is_taken(second)
    first.confirm()


def test_released_lease_is_taken_immediately() -> None:
    """Nobody waits for an owner that has released the lease."""
    files, clock = MemoryFiles(), Clock()
    first, second = lease_in(files, clock), lease_in(files, clock)
    first.take()
    first.release()

    assert is_taken(second)
    assert second.epoch == 2


def test_restarted_owner_does_not_wait_for_itself() -> None:
    """The name of the owner stays the same after a restart."""
    files, clock = MemoryFiles(), Clock()
    lease_in(files, clock, "machine-1").take()

    again = lease_in(files, clock, "machine-1")

    assert is_taken(again)
    assert again.epoch == 2


def test_paused_owner_detects_a_take_over() -> None:
    """Its next renewal does not make it the owner again."""
    files, clock = MemoryFiles(), Clock()
    first, second = lease_in(files, clock), lease_in(files, clock)
    first.take()
    is_taken(second)
    clock.seconds = 31
    assert is_taken(second)

    first.renew()

    with pytest.raises(Standby):
        first.confirm()
    second.confirm()


def test_object_of_an_old_epoch_makes_no_owner() -> None:
    """An instance that was paused before it created the object detects this."""
    files, clock = MemoryFiles(), Clock()
    late, quick, third = (lease_in(files, clock) for _ in range(3))

    def pause(operation: str, _path: str) -> None:
        if operation == "put":
            files.before = lambda _operation, _path: None
            quick.take()
            quick.release()
            third.take()

    files.before = pause

    assert not is_taken(late)
    third.confirm()
    assert late.epoch == 0


def test_one_of_many_simultaneous_instances_becomes_the_owner() -> None:
    """Creation without overwriting succeeds once."""
    files, clock = MemoryFiles(), Clock()
    leases = [lease_in(files, clock) for _ in range(8)]
    barrier = threading.Barrier(len(leases))
    taken: list[Lease] = []

    def try_it(lease: Lease) -> None:
        barrier.wait()
        if is_taken(lease):
            taken.append(lease)

    threads = [threading.Thread(target=try_it, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == 1


@given(
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["take", "renew", "release", "wait"])))
)
def test_there_is_never_more_than_one_confirmed_owner(steps: list[tuple[int, str]]) -> None:
    """For any steps of three instances. An epoch always belongs to the same instance."""
    files, clock = MemoryFiles(), Clock()
    leases = [lease_in(files, clock) for _ in range(3)]
    owners: dict[int, Lease] = {}

    for who, step in steps:
        lease = leases[who]
        if step == "wait":
            clock.seconds += 16
        elif step == "take":
            if is_taken(lease):
                assert lease.epoch not in owners
                owners[lease.epoch] = lease
        elif lease.epoch:
            lease.renew() if step == "renew" else lease.release()
        confirmed = [one for one in leases if one.epoch and one.epoch == max(owners, default=0)]
        assert len(confirmed) <= 1


def test_older_epochs_are_removed_and_the_newest_stays() -> None:
    """Without the newest object its number could be used again."""
    files, clock = MemoryFiles(), Clock()
    for _ in range(3):
        lease = lease_in(files, clock)
        lease.take()
        lease.release()

    assert files.names(FOLDER) == ["00000003.json"]


def test_damaged_object_counts_as_a_silent_owner() -> None:
    """It cannot show that the owner has released the lease."""
    files, clock = MemoryFiles(), Clock()
    files.put(f"{FOLDER}/00000004.json", b"{", overwrite=True)
    lease = lease_in(files, clock)
    assert not is_taken(lease)
    clock.seconds = 30

    assert is_taken(lease)
    assert lease.epoch == 5


def test_thread_renews_until_the_release() -> None:
    """No renewal is written after the release."""
    files = MemoryFiles()
    lease = Lease(files, FOLDER, renew_seconds=0.01)
    counted = threading.Event()

    def note(operation: str, _path: str) -> None:
        if operation == "put" and lease.newest().renewals >= 2:
            counted.set()

    lease.take()
    files.before = note
    assert counted.wait(10)
    lease.release()

    assert json.loads(files.get(f"{FOLDER}/00000001.json"))["is_released"]


def test_owner_keeps_the_lease_while_the_volume_fails() -> None:
    """Failed renewals are repeated; a failed release is ignored."""
    files = MemoryFiles()
    lease = Lease(files, FOLDER, renew_seconds=0.01)
    failed = threading.Event()
    lease.take()

    def note(_operation: str, _path: str) -> None:
        failed.set()

    files.before, files.broken = note, "the volume cannot be reached"
    assert failed.wait(10)

    with pytest.raises(LakeError, match="cannot be reached"):
        lease.confirm()
    lease.release()
    assert lease.epoch == 0


def test_a_lease_for_one_drain_is_marked() -> None:
    """Others then know that it is given back. An earlier release writes no mark and keeps it."""
    files, clock = MemoryFiles(), Clock()
    other = lease_in(files, clock)
    shared = Lease(files, FOLDER, renew_seconds=0, is_for_one_drain=True, monotonic=clock)
    shared.take()
    with pytest.raises(Standby) as while_shared:
        other.take()
    content = json.loads(files.stored[f"{FOLDER}/00000001.json"])
    del content["is_for_one_drain"]
    files.stored[f"{FOLDER}/00000001.json"] = json.dumps(content).encode()
    with pytest.raises(KeptLease):
        other.take()

    assert not isinstance(while_shared.value, KeptLease)
