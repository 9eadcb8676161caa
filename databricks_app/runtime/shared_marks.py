"""Times that the web processes of one `ciolake serve` share: a small file of fixed size, mapped.

It holds three kinds of marks: when a signing key last verified a request, single moments, and the
digests of bodies. No process ever waits for another one: there is no lock. Each entry has a check
value, and an entry that fails it counts as missing. So two writers of one entry lose at most that
entry. All is lost when the run folder goes. Without a run folder a process has marks of its own.
"""

from __future__ import annotations

import mmap
import os
import struct
from enum import IntEnum
from pathlib import Path

import structlog

# The number is that of the layout: after an upgrade, old and new processes use different files.
_FILE = "marks-2.bin"
_ENTRY = struct.Struct("<QQQ")  # two words of content, and their check value
_TIME = struct.Struct("<d")
_WORD = struct.Struct("<Q")
_MOMENTS = 32
_KEYS = 256
_WAYS = 4
_SETS = 1024
_FIRST_KEY = _MOMENTS
_FIRST_BODY = _FIRST_KEY + _KEYS
_SIZE = _ENTRY.size * (_FIRST_BODY + _SETS * _WAYS)
# So that an entry of zeros fails its check.
_SALT = 0x63696F6C616B6531
_MASK = (1 << 64) - 1

log = structlog.get_logger(__name__)


class Moment(IntEnum):
    """A single moment that is shared."""

    WRONG_SIGNATURE = 0
    """The last wrong signature while not every workspace had verified a request."""
    STALE_ACCEPTED = 1
    """The last stale request since a sender was seen that repeats its timestamps."""
    # The last request with each fault of a signature; `core.webhooks.diagnosis` says what they are.
    BODY_ONLY = 16
    REENCODED_BODY = 17
    QUOTED_KEY = 18
    ENCODED_KEY = 19
    BASE64_SIGNATURE = 20
    OTHER_KEY = 21


class SharedMarks:
    """The marks of one run folder. Every method takes microseconds and never raises OSError."""

    def __init__(self, folder: Path | None) -> None:
        """Map the file of a run folder; make it if it is missing.

        Args:
            folder: The run folder; None: the marks belong to this process alone.
        """
        self._map = mmap.mmap(-1, _SIZE) if folder is None else _mapped(folder)

    def verified_at(self, fingerprint: str) -> float | None:
        """Return when a key last verified a request, in Unix seconds; None if that is unknown."""
        name = _key_word(fingerprint)
        for place in _key_places(name):
            entry = self._read(place)
            if entry is not None and entry[0] == name:
                return _time(entry[1])
        return None

    def note_verified(self, fingerprint: str, at: float) -> None:
        """Note that a key verified a request."""
        name = _key_word(fingerprint)
        places = _key_places(name)
        found = {place: self._read(place) for place in places}
        own = [place for place, entry in found.items() if entry is not None and entry[0] == name]
        free = [place for place, entry in found.items() if entry is None]
        # Of more keys than there is room for, the one that was silent longest goes.
        oldest = min(places, key=lambda place: _time((found[place] or (0, 0))[1]))
        self._write((*own, *free, oldest)[0], name, _time_word(at))

    def moment(self, which: Moment) -> float | None:
        """Return a moment in Unix seconds; None if it was never noted."""
        entry = self._read(which)
        return None if entry is None else _time(entry[0])

    def note_moment(self, which: Moment, at: float) -> None:
        """Note a moment."""
        self._write(which, _time_word(at), which)

    def has_body(self, digest: bytes) -> bool:
        """Return whether the digest of a body is remembered."""
        words = _body_words(digest)
        return any(self._read(place) == words for place in _body_places(words))

    def note_body(self, digest: bytes) -> None:
        """Remember the digest of a body, in place of an older one if there is no room."""
        words = _body_words(digest)
        places = _body_places(words)
        free = [place for place in places if self._read(place) is None]
        # The second word of a digest is random: any of the older ones goes.
        self._write(free[0] if free else places[words[1] % _WAYS], *words)

    def _read(self, place: int) -> tuple[int, int] | None:
        first, second, check = _ENTRY.unpack_from(self._map, place * _ENTRY.size)
        return (first, second) if check == _check(place, first, second) else None

    def _write(self, place: int, first: int, second: int) -> None:
        entry = (first, second, _check(place, first, second))
        _ENTRY.pack_into(self._map, place * _ENTRY.size, *entry)


def _mapped(folder: Path) -> mmap.mmap:
    """Map the file of a run folder, or memory of this process if that is not possible."""
    try:
        descriptor = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Changes nothing in a file that is there. Without room on the file system a write to a
            # mapped page would be a SIGBUS, not an error.
            os.posix_fallocate(descriptor, 0, _SIZE)
            return mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
    except OSError as error:
        log.error("marks_not_shared", error=type(error).__name__)
        return mmap.mmap(-1, _SIZE)


def _check(place: int, first: int, second: int) -> int:
    # Not a plain XOR of the words: that of two swapped words would be the same.
    return (_SALT ^ first ^ (second * 0x9E3779B97F4A7C15) ^ place) & _MASK


def _key_word(fingerprint: str) -> int:
    return int(fingerprint, 16)


def _key_places(name: int) -> list[int]:
    return [_FIRST_KEY + (name + step) % _KEYS for step in range(_WAYS)]


def _body_words(digest: bytes) -> tuple[int, int]:
    first, second = struct.unpack_from("<QQ", digest)
    return first, second


def _body_places(words: tuple[int, int]) -> list[int]:
    start = _FIRST_BODY + words[0] % _SETS * _WAYS
    return list(range(start, start + _WAYS))


def _time(word: int) -> float:
    value: float = _TIME.unpack(_WORD.pack(word))[0]
    return value


def _time_word(at: float) -> int:
    word: int = _WORD.unpack(_TIME.pack(at))[0]
    return word
