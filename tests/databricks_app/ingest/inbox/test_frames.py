"""Frames: records are read back as written, and damage affects only the frames it touches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.events.record import Record
from databricks_app.ingest.inbox.frames import Damage, Frame, count, encode, scan, seed

TOKEN = "00112233445566ff"
START = seed(TOKEN)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RECEIVED_AT = datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)


def record(body: bytes = b"{}", number: int = 0) -> Record:
    """A record that differs from others by its number."""
    received_at = RECEIVED_AT + timedelta(microseconds=number)
    return Record(body, received_at, "1700000000", "651bf3b7", len(body))


def segment(*records: Record, start: int = START) -> bytes:
    """The bytes of a segment of these records."""
    return b"".join(piece for one in records for piece in encode(one, start))


def found(data: bytes) -> list[Record | Damage]:
    """Records and damaged ranges, in order."""
    return [one.record if isinstance(one, Frame) else one for one in scan(data, START)]


bodies = st.binary(max_size=200) | st.sampled_from(
    [b"", b"\n", b"CIO1 ", b"CIO1 \n" * 9, b"\x00" * 64, segment(record(), start=0)]
)
records = st.builds(
    lambda body, received_at, timestamp, fingerprint, more, digest, kind: Record(
        body,
        received_at,
        timestamp,
        fingerprint,
        len(body) + more,
        digest,
        kind,
    ),
    bodies,
    st.integers(0, 7 * 10**15).map(lambda us: EPOCH + timedelta(microseconds=us)),
    st.sampled_from(["", "0", "1700000000", "9" * 12]),
    st.sampled_from(["", "651bf3b7"]),
    st.sampled_from([0, 1, 1 << 33]),
    st.sampled_from([None, "0123456789abcdef" * 4]),
    st.sampled_from(["event", "replay"]),
)


def test_a_frame_is_a_header_line_and_the_raw_bytes() -> None:
    """The format on disk is fixed: segments outlive the release that wrote them.

    The checksums are gzip's: `printf ... | gzip -c | tail -c8 | head -c4`, bytes reversed.
    """
    line, rest = encode(record(b'{"a":\n1}'), 0)

    assert rest == b'{"a":\n1}\n'
    assert line == (b"CIO1 1700000000123456 1700000000 651bf3b7 event 8 8 - ce7b4da1 6fd79bf1\n")


def test_repr_of_a_record_shows_no_body() -> None:
    """A record in a traceback or a log line does not show its body."""
    assert "ada@example.com" not in repr(record(b"ada@example.com"))


@given(st.lists(records, max_size=8))
def test_scan_gives_back_what_was_encoded(written: list[Record]) -> None:
    """Every field of every record is the same, for any body."""
    assert found(segment(*written)) == written


@given(st.lists(records, max_size=8))
def test_scan_returns_the_end_of_each_frame(written: list[Record]) -> None:
    """The ends are the offsets of the written bytes."""
    ends = [one.end for one in scan(segment(*written), START) if isinstance(one, Frame)]

    assert ends == [len(segment(*written[: n + 1])) for n in range(len(written))]


@given(st.lists(records, max_size=8), st.data())
def test_count_counts_whole_frames_of_a_file_being_written(
    written: list[Record], data: st.DataObject
) -> None:
    """A reader can see a file that is cut anywhere; only complete frames count."""
    whole = segment(*written)
    cut = data.draw(st.integers(0, len(whole)))
    lengths = [len(segment(*written[: n + 1])) for n in range(len(written))]
    complete = [length for length in lengths if length <= cut]

    assert count(whole[:cut]) == (len(complete), complete[-1] if complete else 0)


@given(st.lists(records, max_size=6), st.data())
def test_a_torn_tail_leaves_every_complete_frame(
    written: list[Record], data: st.DataObject
) -> None:
    """An unfinished write loses only its own record and is one damaged range."""
    whole = segment(*written)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [len(segment(*written[: n + 1])) for n in range(len(written))]
    complete = sum(end <= cut for end in ends)
    good = ends[complete - 1] if complete else 0

    torn = [Damage(good, cut)] if good < cut else []
    assert found(whole[:cut]) == [*written[:complete], *torn]


@given(st.lists(records, min_size=1, max_size=6), st.data())
def test_flipped_bits_lose_only_the_frame_that_they_hit(
    written: list[Record], data: st.DataObject
) -> None:
    """All other records are read, and no record is read that was not written."""
    whole = bytearray(segment(*written))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    ends = [len(segment(*written[: n + 1])) for n in range(len(written))]
    hit = sum(end <= place for end in ends)

    read = [one for one in found(bytes(whole)) if isinstance(one, Record)]

    assert read in (written, written[:hit] + written[hit + 1 :])


@given(st.lists(records, max_size=6), st.data())
def test_a_mutation_loses_no_frame_that_it_does_not_touch(
    written: list[Record], data: st.DataObject
) -> None:
    """If any bytes replace a range, the frames before and after it are read."""
    whole = segment(*written)
    first = data.draw(st.integers(0, len(whole)))
    last = data.draw(st.integers(first, len(whole)))
    mutated = whole[:first] + data.draw(bodies) + whole[last:]
    starts = [len(segment(*written[:n])) for n in range(len(written) + 1)]
    before = sum(end <= first for end in starts[1:])
    after = sum(start >= last for start in starts[:-1])

    read = [one for one in found(mutated) if isinstance(one, Record)]

    assert read[:before] == written[:before]
    assert read[len(read) - after :] == written[len(written) - after :]
    assert all(one in written for one in read)


@given(st.binary(max_size=400), st.integers(0, 0xFFFFFFFF))
def test_scan_never_raises_and_covers_every_byte(data: bytes, start: int) -> None:
    """Any bytes are a sequence of frames and damage without gap or overlap."""
    at = 0
    for one in scan(data, start):
        if isinstance(one, Damage):
            assert one.start == at
        assert one.end > at
        at = one.end

    assert at == len(data)
    assert count(data)[1] <= len(data)


def test_damage_between_frames_has_its_exact_range() -> None:
    """Start and end are exact, so that the bytes can be copied to the quarantine."""
    head, tail = segment(record(number=1)), segment(record(number=2))

    read = found(head + b"garbage\n" + tail)

    assert read == [
        record(number=1),
        Damage(len(head), len(head) + 8),
        record(number=2),
    ]


def test_a_changed_byte_of_the_header_never_gives_another_record() -> None:
    """With each byte of the header line changed, the record is read as it was, or not at all."""
    first, second = record(b"body"), record(b"next", 1)
    header, _ = encode(first, START)

    wrong = {}
    for place in range(len(header)):
        data = bytearray(segment(first, second))
        data[place] ^= 0x01
        read = [one for one in found(bytes(data)) if isinstance(one, Record)]
        if read not in ([second], [first, second]):
            wrong[place] = read

    assert wrong == {}


@pytest.mark.parametrize("start", [0, seed(""), seed("ffffffffffffffff"), crc32(b"CIO1 ")])
def test_a_forged_frame_inside_a_body_is_not_read(start: int) -> None:
    """A sender that does not know the token of the segment cannot forge a record."""
    forged = segment(record(b"forged"), start=start)
    data = bytearray(segment(record(b"x" * 40 + forged + b"y"), record(b"next", 1)))
    data[0] ^= 0xFF

    read = [one for one in found(bytes(data)) if isinstance(one, Record)]

    assert read == [record(b"next", 1)]


def test_frames_of_another_segment_are_not_read() -> None:
    """The disk can show old bytes of another file; they are not records of this segment."""
    stale = segment(record(b"old"), start=seed("ffffffffffffffff"))

    read = found(segment(record(b"new")) + stale)

    assert read[0] == record(b"new")
    assert all(isinstance(one, Damage) for one in read[1:])


def test_a_length_beyond_the_file_is_damage() -> None:
    """A header with a length beyond the data does not hide the frames after it."""
    line, _ = encode(record(b"z" * 1000), START)

    read = found(line + segment(record(b"next", 1)))

    assert read == [Damage(0, len(line)), record(b"next", 1)]


def test_a_body_full_of_magic_words_is_searched_in_linear_time() -> None:
    """The search after a damaged frame does not become quadratic."""
    data = bytearray(segment(record(b"CIO1 " * 100_000), record(b"next", 1)))
    data[0] ^= 0xFF

    read = found(bytes(data))

    assert read[-1] == record(b"next", 1)
