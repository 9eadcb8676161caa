"""Which files of a day are merged, and how many bytes this rewrites over a day and a year."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from databricks_app.lake.local.merge_plan import (
    CLOSED,
    MergeLimits,
    PlannedMerge,
    StoredFile,
    in_commits,
    planned,
    smallest_worth_merging,
)

TODAY = date(2026, 11, 22)
OLD = date(2026, 6, 1)
MB = 1 << 20
LIMITS = MergeLimits()


def loose(*sizes: int) -> list[StoredFile]:
    """Files of loads, in this order."""
    return [StoredFile(f"part-{place}", size, place) for place, size in enumerate(sizes)]


def closed(size: int) -> StoredFile:
    """A file of a closed day."""
    return StoredFile(f"event_date=2026-06-01/{CLOSED}1.parquet", size, 0)


def plan(files: Sequence[StoredFile], limits: MergeLimits = LIMITS) -> PlannedMerge | None:
    """The files of a closed day that are merged."""
    newer = {TODAY - timedelta(days=days): loose(1) for days in (0, 1)}
    found = planned({OLD: files, **newer}, limits, TODAY)
    return found[0] if found else None


def sizes(found: PlannedMerge | None) -> list[int]:
    """The sizes of the files that are merged."""
    return [file.size for file in found.files] if found else []


def test_closed_day_becomes_one_file() -> None:
    """Its files have all sizes after the merges of the open day."""
    found = plan(loose(60 * MB, 8 * MB, 2 * MB, 300, 20))

    assert found
    assert (found.closes_day, sizes(found)) == (True, [60 * MB, 8 * MB, 2 * MB, 300, 20])


def test_closed_day_with_one_file_is_not_merged() -> None:
    """Also if it is not a file of a closed day."""
    assert plan(loose(5)) is plan([closed(5)]) is None


def test_large_closed_day_becomes_several_files_of_limited_size() -> None:
    """Files that are already full are not rewritten."""
    found = plan(loose(70 * MB, *[30 * MB] * 7))

    assert sizes(found) == [30 * MB] * 4


def test_late_row_does_not_rewrite_its_day() -> None:
    """Seven small files next to the large one are cheaper."""
    assert plan([closed(50 * MB), *loose(*[10_000] * 7)]) is None


def test_late_files_are_merged_with_each_other() -> None:
    """The new file does not close the day, so later files are merged with it."""
    found = plan([closed(50 * MB), *loose(*[10_000] * 8)])

    assert found
    assert (found.closes_day, sizes(found)) == (False, [10_000] * 8)


def test_many_late_bytes_are_merged_with_their_day() -> None:
    """From a quarter of the file of the day, or always if the day is small."""
    assert sizes(plan([closed(40 * MB), *loose(10 * MB)])) == [40 * MB, 10 * MB]
    assert sizes(plan([closed(100_000), *loose(100)])) == [100_000, 100]


def test_late_rows_rewrite_few_bytes_each() -> None:
    """10,000 loads, each with one row for a closed day of 20 MB."""
    files, rewritten, most = [closed(80 * MB // 4)], 0, 0
    for number in range(10_000):
        files.append(StoredFile(f"late-{number}", 10_000, number))
        if found := plan(files):
            total = sum(sizes(found))
            kept = [file for file in files if file not in found.files]
            name = f"{CLOSED}{number}" if found.closes_day else f"merged-{number}"
            files = [*kept, StoredFile(name, total, number)]
            rewritten += total
        most = max(most, len(files))

    assert rewritten / (10_000 * 10_000) < 12
    assert most < 16


def test_rewrites_of_an_open_day_grow_with_the_logarithm() -> None:
    """20,000 commits of one day, one file each, with upkeep like in the loader."""
    limits = MergeLimits(compact_files=100, small_bytes=1 << 20)
    files, rewritten = list[StoredFile](), 0
    for turn in range(2000):
        files += [StoredFile(f"{turn}-{place}", 1, turn) for place in range(10)]
        for found in planned({TODAY: files}, limits, TODAY):
            total = sum(sizes(found))
            kept = [file for file in files if file not in found.files]
            files = [*kept, StoredFile(f"merged-{turn}", total, turn)]
            rewritten += total

    assert rewritten / 20_000 < 8
    assert len(files) < limits.compact_files + 12


def test_large_files_of_an_open_day_are_not_merged() -> None:
    """They are rewritten once, when the day has closed."""
    files = {TODAY: loose(*[LIMITS.small_bytes] * 500)}

    assert planned(files, LIMITS, TODAY) == []


def test_date_in_the_future_closes_no_day() -> None:
    """Otherwise one event with a wrong time would close today."""
    future = {date(2099, 1, 1): loose(1), date(2098, 1, 1): loose(1)}
    days = {TODAY: loose(1, 1, 1), TODAY - timedelta(days=1): loose(1, 1, 1)}

    assert planned({**future, **days}, LIMITS, TODAY) == []


def test_if_all_dates_are_in_the_future_the_newest_two_are_open() -> None:
    """Then the clock of the machine is wrong."""
    days = {TODAY - timedelta(days=ago): loose(1, 1) for ago in range(3)}

    found = planned(days, LIMITS, date(1970, 1, 1))

    assert [one.day for one in found] == [TODAY - timedelta(days=2)]


def test_year_of_closed_days_is_planned_a_few_days_at_a_time() -> None:
    """The newest first; open days come before them in each plan."""
    files = {TODAY - timedelta(days=ago): loose(*[10] * 30) for ago in range(365)}
    files[TODAY] = loose(*[10] * 200)

    found = planned(files, LIMITS, TODAY)

    assert [(TODAY - one.day).days for one in found] == [0, 2, 3, 4, 5, 6, 7, 8, 9]


def test_small_merges_share_a_commit() -> None:
    """Up to the size of the largest file."""
    limits = MergeLimits(day_bytes=100)
    plans = [PlannedMerge(OLD, tuple(loose(one, 0)), True) for one in (40, 60, 1, 120, 5)]

    found = in_commits(plans, limits)

    assert [[sum(sizes(plan)) for plan in commit] for commit in found] == [
        [40, 60],
        [1],
        [120],
        [5],
    ]


def test_files_are_merged_in_the_order_of_their_creation() -> None:
    """Similar ids stay together, so a look-up skips most of a large file."""
    files = [StoredFile("c", 1, 3), StoredFile("a", 3, 1), StoredFile("b", 2, 2)]

    found = plan(files)

    assert found
    assert [file.path for file in found.files] == ["a", "b", "c"]


@given(st.lists(st.integers(1, 200), max_size=12))
def test_smallest_files_are_merged_up_to_a_file_of_twice_their_size(
    given_sizes: list[int],
) -> None:
    """None that is left could be added without rewriting more than twice what is merged."""
    chosen = [file.size for file in smallest_worth_merging(loose(*given_sizes))]

    left = sorted(given_sizes)[len(chosen) :]
    assert chosen == sorted(given_sizes)[: len(chosen)]
    assert len(chosen) != 1
    if chosen:
        assert chosen[-1] <= 2 * sum(chosen[:-1])
        assert not left or left[0] > 2 * sum(chosen)
