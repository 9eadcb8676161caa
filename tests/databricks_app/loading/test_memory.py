"""The loader's memory is limited when many large events wait."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.harness.crashes import loader_process
from benchmarks.harness.events import record as stored
from benchmarks.harness.exactly_once import is_empty
from benchmarks.harness.process_table import wait_until
from databricks_app.events.record import Record
from databricks_app.ingest.inbox.local_reader import replay_segment
from databricks_app.loading.crash_isolation import Care, Part
from databricks_app.loading.memory import LARGE_BODY_BYTES, portions
from tests.support.loading import RECEIVED, LoaderUnderTest, record

LARGE = 100_000


def of(length: int) -> Record:
    """A record with a body of so many bytes."""
    return Record(bytes(length), RECEIVED, "", "", length)


def cut(lengths: list[int], part: Part) -> list[tuple[int, int]]:
    """The start and the stop of each portion."""
    found = portions([of(length) for length in lengths], part, most_bytes=2 * LARGE)
    return [(one.start, one.stop) for one in found]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([LARGE] * 5, [(0, 2), (2, 4), (4, 5)]),
        ([9 * LARGE, LARGE, LARGE, LARGE], [(0, 1), (1, 3), (3, 4)]),
        ([LARGE, 10, 10, LARGE, 10, LARGE], [(0, 5), (5, 6)]),
        ([LARGE_BODY_BYTES] * 100, [(0, 100)]),
    ],
)
def test_portions_are_bounded_by_large_bodies(
    lengths: list[int], expected: list[tuple[int, int]]
) -> None:
    """Each has at least one record; small bodies do not count."""
    assert cut(lengths, Part(0, len(lengths))) == expected


def test_portions_contain_only_their_part() -> None:
    """Each portion has the care of the part."""
    part = Part(1, 4, Care.RAW_ALONE)

    found = list(portions([of(LARGE)] * 5, part, most_bytes=2 * LARGE))

    assert found == [replace(part, stop=3), replace(part, start=3)]


def test_with_a_backlog_a_batch_has_more_rows_and_no_more_bytes(tmp_path: Path) -> None:
    """The factor for a backlog applies only to rows."""
    under_test = LoaderUnderTest(tmp_path)
    under_test.loader.batch_rows = 2
    under_test.loader.batch_bytes = 3 * LARGE
    under_test.lake.start()
    for name in "ABC":
        under_test.store(record(name, data={"content": "x" * 2 * LARGE}))
    for name in "DEFGH":
        under_test.store(record(name))

    under_test.drain()
    under_test.lake.close()

    # A; B; C with what is small: more than two rows.
    assert under_test.sample("load_seconds_count") == 3
    assert under_test.rows("SELECT count(*) FROM webhook_raw_events") == [(8,)]


@pytest.mark.slow
def test_the_loader_needs_less_than_700_mb_for_large_events(tmp_path: Path) -> None:
    """Peak of the process, for e-mails with emoji, whose text needs four times the memory."""
    (tmp_path / "data/inbox").mkdir(parents=True)
    for number in range(8):
        bodies = [_mail(f"e{number}-{place}") for place in range(40)]
        members = [stored(body) for body in bodies]
        replay_segment(tmp_path / "data/inbox", members, name=f"{number:016d}-{number:016x}")

    with loader_process(tmp_path) as process:
        wait_until(lambda: is_empty(tmp_path / "data"), 60)
        status = Path(f"/proc/{process.pid}/status").read_text()

    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    assert int(kilobytes) * 1024 < 700e6


def _mail(event_id: str) -> bytes:
    """An event of about 400 kB; no two have the same content."""
    content = "".join(f"{event_id} {line} and more \U0001f600\\n" for line in range(13_000))
    return (
        f'{{"event_id": "{event_id}", "object_type": "email", "metric": "sent", '
        f'"timestamp": 1763800000, "data": {{"delivery_id": "d", "content": "{content}"}}}}'
    ).encode()
