"""Only an event that Customer.io has signed proves a key: how it is seen, and for how long."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from databricks_app.ingest.pages import KEY_VERIFIED
from databricks_app.lake.local.query import LocalQuery
from databricks_app.operations.webhooks.canary import canary
from databricks_app.operations.webhooks.rotation import RotationError
from databricks_app.operations.webhooks.vendor_event import (
    MetricsSight,
    Sight,
    VendorEventError,
    is_row_of_vendor,
    wait_for_vendor,
)
from tests.support.lake_events import NOON, event, lake_in, load, reading_of
from tests.support.still_time import StillTime

KEY = "aaaaaaaa"


def wait(time: StillTime, *sights: Sight | Exception, seconds: float = 60) -> list[str]:
    """Wait with these looks, the last one for ever; return the progress messages."""
    said: list[str] = []
    looks = iter(sights)
    last: list[Sight | Exception] = [Sight.NOTHING]

    def look() -> Sight:
        last[0] = next(looks, last[0])
        if isinstance(last[0], Exception):
            raise last[0]
        return last[0]

    wait_for_vendor(
        look,
        KEY,
        seconds=seconds,
        on_progress=said.append,
        monotonic=lambda: time.at,
        sleep=time.sleep,
    )
    return said


def test_wait_for_vendor_ends_with_the_first_verified_event() -> None:
    """Refusals and looks that failed are reported, each once."""
    time = StillTime()

    said = wait(
        time,
        Sight.REFUSED,
        Sight.REFUSED,
        RotationError("no answer"),
        Sight.NOTHING,
        Sight.VERIFIED,
    )

    assert time.slept == [2, 2, 2, 2]
    assert len(said) == 2
    assert "wrong signature" in said[0]
    assert "no answer" in said[1]


@pytest.mark.parametrize(
    ("sight", "word"), [(Sight.NOTHING, "no event"), (Sight.REFUSED, "mistaken")]
)
def test_wait_for_vendor_is_bounded(sight: Sight, word: str) -> None:
    """After the time it says what is missing and what to do."""
    time = StillTime()

    with pytest.raises(VendorEventError, match=word):
        wait(time, sight, seconds=5)

    assert time.slept == [2, 2, 1]


def exposition(verified_at: float, refused: int) -> str:
    """The lines of /metrics that matter."""
    return (
        f'# TYPE {KEY_VERIFIED} gauge\n{KEY_VERIFIED}{{key="{KEY}"}} {verified_at}\n'
        f'{KEY_VERIFIED}{{key="bbbbbbbb"}} 999\n'
        "# TYPE ciolake_rejected_requests counter\n"
        f'ciolake_rejected_requests_total{{reason="wrong_signature",key=""}} {refused}\n'
        'ciolake_rejected_requests_total{reason="wrong_test_signature",key=""} 99\n'
    )


def test_metrics_sight_counts_only_what_comes_after_the_first_look() -> None:
    """And only under this key."""
    pages = iter([(5, 1), (5, 1), (5, 2), (6, 2)])
    look = MetricsSight(lambda: exposition(*next(pages)), KEY)

    assert [look(), look(), look()] == [Sight.NOTHING, Sight.REFUSED, Sight.VERIFIED]


@pytest.mark.parametrize("text", ["", "<html>", "# TYPE a counter\na_total 1\n"])
def test_metrics_sight_refuses_what_no_receiver_says(text: str) -> None:
    """A login page is not taken for silence."""
    with pytest.raises(RotationError, match="--metrics-url"):
        MetricsSight(lambda: text, KEY)


def test_is_row_of_vendor_finds_an_event_under_the_key_that_is_not_ours(tmp_path: Path) -> None:
    """Not one under another key, not our test event, not an earlier one."""
    lake = lake_in(tmp_path)
    lake.start()
    load(lake, reading_of(canary("1", 0.0).body), event("e1"))
    tables = LocalQuery(tmp_path)
    ours = reading_of(b"{}").raw["key_fingerprint"]

    assert is_row_of_vendor(tables, ours, NOON)
    assert not is_row_of_vendor(tables, "bbbbbbbb", NOON)
    assert not is_row_of_vendor(tables, ours, NOON + timedelta(seconds=1))


def test_is_row_of_vendor_leaves_our_own_event_out(tmp_path: Path) -> None:
    """A test event that we have signed proves nothing."""
    lake = lake_in(tmp_path)
    lake.start()
    load(lake, reading_of(canary("1", 0.0).body))

    key = reading_of(b"{}").raw["key_fingerprint"]
    assert not is_row_of_vendor(LocalQuery(tmp_path), key, NOON)
