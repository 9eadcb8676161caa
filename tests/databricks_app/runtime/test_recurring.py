"""Repeated cases are logged when they begin and when they end."""

from __future__ import annotations

import threading

from structlog.testing import capture_logs

from databricks_app.runtime.recurring import QUIET_SECONDS, RecurringLog
from tests.support.still_time import FixedClock


def test_repeated_cases_are_two_lines() -> None:
    """The last one comes a minute after the last case and has the number of cases."""
    now = FixedClock(0.0)
    recurring = RecurringLog(now)

    with capture_logs() as lines:
        for _ in range(1000):
            recurring.note("request_refused", "wrong_signature", {"status": 401}, times=2)
        now.at = 30.0
        recurring.note("request_refused", "wrong_signature", {"status": 401})
        now.at += QUIET_SECONDS - 1
        recurring.sweep()
        now.at += 1
        recurring.sweep()
        recurring.sweep()

    begun, ended = lines
    assert begun == {
        "event": "request_refused",
        "log_level": "warning",
        "reason": "wrong_signature",
        "status": 401,
    }
    assert ended == {
        "event": "request_refused_ended",
        "log_level": "info",
        "reason": "wrong_signature",
        "times": 2001,
        "seconds": 30.0,
        "is_process_ending": False,
    }


def test_one_kind_begins_at_most_once_a_minute() -> None:
    """In any order of cases and pauses."""
    now = FixedClock(0.0)
    recurring = RecurringLog(now)

    with capture_logs() as lines:
        for second in range(600):
            now.at = float(second)
            if second % 59 == 0 or second % 7 == 0:
                recurring.note("request_refused", "inbox_full")
            recurring.sweep()

    assert [line["event"] for line in lines] == ["request_refused"]


def test_each_kind_has_its_own_lines() -> None:
    """The end of one kind does not end another."""
    now = FixedClock(0.0)
    recurring = RecurringLog(now)

    with capture_logs() as lines:
        recurring.note("request_refused", "no_key")
        recurring.note("request_refused", "inbox_full")
        now.at = QUIET_SECONDS
        recurring.note("request_refused", "inbox_full")
        recurring.sweep()

    assert [(line["event"], line["reason"]) for line in lines] == [
        ("request_refused", "no_key"),
        ("request_refused", "inbox_full"),
        ("request_refused_ended", "no_key"),
    ]


def test_the_end_of_the_process_ends_every_kind() -> None:
    """The line says that the process ends, not that the cause is gone."""
    recurring = RecurringLog(FixedClock(0.0))

    with capture_logs() as lines:
        recurring.note("segment_not_closed", "No space left on device")
        recurring.sweep(is_end=True)

    assert [(line["event"], line.get("is_process_ending")) for line in lines] == [
        ("segment_not_closed", None),
        ("segment_not_closed_ended", True),
    ]


def test_an_error_is_logged_by_type_and_place() -> None:
    """Errors of one place are one kind; no text is kept."""
    recurring = RecurringLog(FixedClock(0.0))

    with capture_logs() as lines:
        for number in range(3):
            try:
                raise KeyError(f"secret {number}")
            except KeyError as error:
                recurring.note_error("storing_failed", error)

    (line,) = lines
    assert (line["event"], line["log_level"], line["error"]) == (
        "storing_failed",
        "error",
        "KeyError",
    )
    assert line["at"].startswith("test_recurring.py:")
    assert "secret" not in str(line)


def test_threads_count_together() -> None:
    """Eight threads, one line, no case lost."""
    recurring = RecurringLog(FixedClock(0.0))

    def note() -> None:
        for _ in range(1000):
            recurring.note("request_refused", "overloaded")

    with capture_logs() as lines:
        threads = [threading.Thread(target=note) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recurring.sweep(is_end=True)

    assert [line.get("times") for line in lines] == [None, 8000]
