r"""The format of a segment: one frame for each record.

A frame is a header line, the raw bytes of the body, and a line feed:

    CIO1 <received_at, us> <timestamp header> <key fingerprint> <kind> <bytes here> <bytes in all>
        <sha256 of all or -> <CRC-32 of the bytes> <CRC-32 of the line so far>\n

(one line). The body is not encoded, so a frame costs only a copy and a checksum. Both checksums
start from the random token of the segment. So bytes that only look like a frame, inside a body or
left on the disk by another file, are not read as one.

Pure: bytes in, bytes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zlib import crc32

from databricks_app.events.record import Record

_MAGIC = b"CIO1 "
# Bytes. The longest header that `_HEADER` allows has 161 with its checksum and line feed.
_LONGEST_HEADER = 256
_HEADER = re.compile(
    rb"CIO1 ([0-9]{1,17}) ([0-9]{0,12}) ([0-9a-f]{0,8}) (event|replay) ([0-9]{1,12}) ([0-9]{1,12}) "
    rb"([0-9a-f]{64}|-) ([0-9a-f]{8})"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Frame:
    """A record, and the offset after its frame."""

    record: Record
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of bytes without a readable frame: `start` inclusive, `end` exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FrameContents:
    """The content of a segment or an object.

    Attributes:
        records: In the order of their frames.
        damage: The ranges without a readable frame.
        damaged: How many of them can have contained a record; at least one if records are missing.
        torn: How many are the end of an unfinished write, which was never acknowledged.
    """

    records: list[Record]
    damage: list[Damage]
    damaged: int
    torn: int


def seed(token: str) -> int:
    """Return the start value of the checksums of a segment with this token."""
    return crc32(token.encode())


def encode(record: Record, start: int) -> tuple[bytes, bytes]:
    """Return a frame as two pieces, the header line and the rest. The body is copied only once.

    Args:
        record: The record to encode.
        start: The `seed` of the segment.
    """
    received_us = (record.received_at - _EPOCH) // _MICROSECOND
    line = (
        f"CIO1 {received_us} {record.timestamp} {record.key_fingerprint} {record.kind} "
        f"{len(record.body)} {record.body_bytes} {record.body_sha256 or '-'} "
        f"{crc32(record.body, start):08x}"
    ).encode("ascii")
    return line + b" %08x\n" % crc32(line, start), record.body + b"\n"


def scan(data: bytes, start: int) -> Iterator[Frame | Damage]:
    """Yield every frame of a segment and every damaged range, in order.

    A damaged range ends where the next complete frame begins, or at the end of the data.
    """
    offset = 0
    while offset < len(data):
        frame = _frame_at(data, offset, start)
        if frame is None:
            end = _next_frame(data, offset + 1, start)
            yield Damage(offset, end)
            offset = end
        else:
            yield frame
            offset = frame.end


def contents(data: bytes, start: int, events: int) -> FrameContents:
    """Read a whole segment or object.

    Args:
        data: All bytes.
        start: The `seed` of its checksums.
        events: The number of records that its name promises.
    """
    found = list(scan(data, start))
    records = [one.record for one in found if isinstance(one, Frame)]
    damage = [one for one in found if isinstance(one, Damage)]
    # Damage at the end is an unfinished write only if no record is missing: all records that the
    # name counts were acknowledged.
    is_torn = bool(damage) and damage[-1].end == len(data) and len(records) == events
    damaged = len(damage) - is_torn
    if not damaged and len(records) < events:
        damaged = 1
    return FrameContents(records, damage, damaged, int(is_torn))


def count(data: bytes) -> tuple[int, int]:
    """Count complete frames by their headers; return the number and the end of the last one.

    It computes no checksums. Use it to count a segment while it is being written.
    """
    offset = number = 0
    while (header := _header_at(data, offset)) is not None:
        fields, body_at, _ = header
        end = body_at + int(fields[5]) + 1
        if end > len(data):
            break
        offset, number = end, number + 1
    return number, offset


def _header_at(data: bytes, offset: int) -> tuple[re.Match[bytes], int, bytes] | None:
    line_end = data.find(b"\n", offset, offset + _LONGEST_HEADER)
    if line_end < 0:
        return None
    line = data[offset : line_end - 9]
    fields = _HEADER.fullmatch(line)
    return None if fields is None else (fields, line_end + 1, data[line_end - 8 : line_end])


def _frame_at(data: bytes, offset: int, start: int) -> Frame | None:
    header = _header_at(data, offset)
    if header is None:
        return None
    fields, body_at, checksum = header
    end = body_at + int(fields[5]) + 1
    if checksum != b"%08x" % crc32(fields[0], start) or end > len(data):
        return None
    body = data[body_at : end - 1]
    if data[end - 1] != 0x0A or fields[8] != b"%08x" % crc32(body, start):
        return None
    return Frame(_record(fields, body), end)


def _record(fields: re.Match[bytes], body: bytes) -> Record:
    received_us, timestamp, fingerprint, kind, _, total, digest = (
        part.decode("ascii") for part in fields.groups()[:7]
    )
    return Record(
        body=body,
        received_at=_EPOCH + timedelta(microseconds=int(received_us)),
        timestamp=timestamp,
        key_fingerprint=fingerprint,
        body_bytes=int(total),
        body_sha256=None if digest == "-" else digest,
        kind="replay" if kind == "replay" else "event",
    )


def _next_frame(data: bytes, offset: int, start: int) -> int:
    """Return the offset of the next complete frame, or the end of the data."""
    # Each candidate is checked by its header checksum first, so a body that is full of magic words
    # is searched in linear time.
    while (found := data.find(_MAGIC, offset)) >= 0:
        if _frame_at(data, found, start) is not None:
            return found
        offset = found + 1
    return len(data)
