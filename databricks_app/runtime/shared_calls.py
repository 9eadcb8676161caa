"""The sender's calls, as the web processes of one `ciolake serve` count them together.

A small file of fixed size, mapped like that of `shared_marks`: how many calls are in flight, when
the last one was answered, and sums over the last minute. A sender that opens a connection for each
call reaches another process each time, so one process alone cannot see its pauses.

No process waits for another one. Each process writes its own slot, which it owns by a lock that
ends with the process. All words are whole numbers, so that a word that is read while it is written
is wrong at most once, and never poisons a sum.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import structlog

from databricks_app.runtime.sender_pace import CallSums, is_short

# The number is that of the layout: after an upgrade, old and new processes use different files.
_FILE = "calls-1.bin"
# Twice the most web processes: those of before and after a reload.
_SLOTS = 128
_WORD = 8
WINDOW_SECONDS = 10
WINDOWS = 6
# One more than is read, so that the oldest is not overwritten while it still counts.
_RING = WINDOWS + 1
_LAST_ANSWER = struct.Struct("<QQ")  # when, and how long the answer took
_IN_FLIGHT = struct.Struct(f"<{_SLOTS}Q")
_WINDOW = struct.Struct("<6Q")  # its number, then the fields of `CallSums`
_IN_FLIGHT_AT = _LAST_ANSWER.size
_CHANGED_AT = _IN_FLIGHT_AT + _IN_FLIGHT.size
_WINDOWS_AT = _CHANGED_AT + _IN_FLIGHT.size
_SIZE = _WINDOWS_AT + _SLOTS * _RING * _WINDOW.size
_MICROSECONDS = 1_000_000
# Every call is answered sooner: the process of such a slot was killed.
_LONGEST_CALL_SECONDS = 10.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """A call in flight.

    Attributes:
        began_at: Monotonic seconds.
        is_overlapping: Whether another call was in flight when it began.
        pause_seconds: From the answer to the call before it; None if that is unknown, or if it is
            overlapping.
        is_prompt: Whether that pause was short.
    """

    began_at: float
    is_overlapping: bool
    pause_seconds: float | None
    is_prompt: bool


class SharedCalls:
    """The calls of one run folder. Use `begin` and `end` in one thread of a process."""

    def __init__(self, folder: Path | None) -> None:
        """Map the file of a run folder; make it if it is missing.

        Args:
            folder: The run folder; None: the calls of this process alone.
        """
        self._slot = 0
        self._in_flight = 0
        self._map = mmap.mmap(-1, _SIZE) if folder is None else self._mapped(folder)
        self._write(_IN_FLIGHT_AT + self._slot * _WORD, 0)
        start = self._window_at(self._slot, 0)
        self._map[start : start + _RING * _WINDOW.size] = bytes(_RING * _WINDOW.size)

    def begin(self, now: float) -> Call:
        """Count a call that begins.

        Args:
            now: Monotonic seconds, the same clock for all processes.
        """
        is_overlapping = self._in_flight > 0 or self.in_flight(now) > 0
        self._in_flight += 1
        self._note_in_flight(now)
        answered, answer = _LAST_ANSWER.unpack_from(self._map)
        if is_overlapping or not answered:
            return Call(now, is_overlapping, None, False)
        pause = max(0, _micro(now) - answered) / _MICROSECONDS
        return Call(now, False, pause, is_short(pause, answer / _MICROSECONDS))

    def end(self, call: Call, now: float) -> None:
        """Count the answer to a call."""
        self._in_flight -= 1
        self._note_in_flight(now)
        answer = max(0, _micro(now) - _micro(call.began_at))
        _LAST_ANSWER.pack_into(self._map, 0, _micro(now), answer)
        number = int(now) // WINDOW_SECONDS
        at = self._window_at(self._slot, number % _RING)
        found, *sums = _WINDOW.unpack_from(self._map, at)
        calls, overlapping, prompt, answers, pauses = sums if found == number else (0,) * 5
        if call.is_prompt:
            prompt += 1
            answers += answer
            pauses += _micro(call.pause_seconds or 0.0)
        _WINDOW.pack_into(
            self._map,
            at,
            number,
            calls + 1,
            overlapping + call.is_overlapping,
            prompt,
            answers,
            pauses,
        )

    def in_flight(self, now: float) -> int:
        """Return how many calls wait for their answer, in all processes."""
        counts = _IN_FLIGHT.unpack_from(self._map, _IN_FLIGHT_AT)
        if not any(counts):
            return 0
        changed = _IN_FLIGHT.unpack_from(self._map, _CHANGED_AT)
        oldest = _micro(now - _LONGEST_CALL_SECONDS)
        return sum(count for count, at in zip(counts, changed, strict=True) if at > oldest)

    def last_minute(self, now: float) -> CallSums:
        """Return the sums of all processes over the last 50 to 60 seconds."""
        current = int(now) // WINDOW_SECONDS
        found = [
            _WINDOW.unpack_from(self._map, self._window_at(slot, place))
            for slot in range(_SLOTS)
            for place in range(_RING)
        ]
        recent = [words[1:] for words in found if current - WINDOWS < words[0] <= current]
        calls, overlapping, prompt, answers, pauses = map(sum, zip((0,) * 5, *recent, strict=True))
        return CallSums(calls, overlapping, prompt, answers / _MICROSECONDS, pauses / _MICROSECONDS)

    def _note_in_flight(self, now: float) -> None:
        self._write(_IN_FLIGHT_AT + self._slot * _WORD, self._in_flight)
        self._write(_CHANGED_AT + self._slot * _WORD, _micro(now))

    def _write(self, at: int, word: int) -> None:
        struct.pack_into("<Q", self._map, at, word)

    def _window_at(self, slot: int, place: int) -> int:
        return _WINDOWS_AT + (slot * _RING + place) * _WINDOW.size

    def _mapped(self, folder: Path) -> mmap.mmap:
        """Map the file of a run folder and own a slot, or map memory of this process."""
        descriptor = -1
        try:
            descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            # Without room on the file system a write to a mapped page would be a SIGBUS.
            os.posix_fallocate(descriptor, 0, _SIZE)
            self._slot = _own_slot(descriptor)
            # The descriptor stays open: closing it would end the lock.
            return mmap.mmap(descriptor, _SIZE)
        except OSError as error:
            log.error("calls_not_shared", error=type(error).__name__)
            if descriptor >= 0:
                os.close(descriptor)
            return mmap.mmap(-1, _SIZE)


def _own_slot(descriptor: int) -> int:
    """Lock the first free slot.

    Raises:
        OSError: None is free.
    """
    for slot in range(_SLOTS - 1):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, slot)
        except BlockingIOError:
            continue
        return slot
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _SLOTS - 1)
    return _SLOTS - 1


def _micro(seconds: float) -> int:
    return round(seconds * _MICROSECONDS)
