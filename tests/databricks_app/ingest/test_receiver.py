"""The receiver: each case of its table of answers, in the order of the table."""

from __future__ import annotations

import io
import itertools
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from core.webhooks.signature import SignatureCheck, SigningKey
from databricks_app.errors import InboxError
from databricks_app.events.record import Record
from databricks_app.ingest.body import CUT_BYTES
from databricks_app.ingest.inbox.local import LocalInbox
from databricks_app.ingest.inbox.local_reader import SegmentReader
from databricks_app.ingest.receiver import Answer, WebhookReceiver
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import Settings

BODY = b'{"event_id":"e1","data":{"recipient":"ada@example.com"}}'
FINGERPRINT = "651bf3b7"  # of test_signing_key
MIB = 1 << 20
NUMBERS = b"".join(b"%07d\n" % n for n in range(MIB))

Sign = Callable[..., dict[str, str]]


class Source:
    """The stream of a request: pieces of any size, or a broken connection."""

    def __init__(self, body: bytes, piece: int = MIB, error: Exception | None = None) -> None:
        self._rest = io.BytesIO(body)
        self._piece = piece
        self._error = error
        self.taken = 0

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; at the end raise the error, if there is one."""
        data = self._rest.read(min(size, self._piece))
        self.taken += len(data)
        if not data and size and self._error is not None:
            raise self._error
        return data


@dataclass
class Bench:
    """A receiver with a real inbox, and its counters."""

    settings: Settings
    inbox: LocalInbox
    now: Callable[[], float]

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.receiver = WebhookReceiver(self.settings, self.inbox, self.metrics, self.now)

    def set(self, **fields: Any) -> None:
        """Create the receiver again with other settings."""
        self.settings = replace(self.settings, **fields)
        self.__post_init__()

    def post(
        self,
        body: bytes | Source,
        headers: dict[str, str],
        length: int | str | None = -1,
        query: str = "",
    ) -> Answer:
        """Send a request to the receiver; its Content-Length is that of the body by default."""
        if isinstance(body, bytes):
            length = len(body) if length == -1 else length
            body = Source(body)
        environ: dict[str, Any] = {"wsgi.input": body, "QUERY_STRING": query}
        if length not in (None, -1):
            environ["CONTENT_LENGTH"] = str(length)
        for name, value in headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        return self.receiver.answer(environ)

    def begun(self, headers: dict[str, str], *pieces: bytes) -> SignatureCheck:
        """A check that is updated with the pieces of a body."""
        signature, timestamp = (
            headers[f"X-CIO-{name}"].encode() for name in ("Signature", "Timestamp")
        )
        check = self.receiver.begin(signature, timestamp, None)
        assert isinstance(check, SignatureCheck)
        for piece in pieces:
            check.update(piece)
        return check

    def stored(self) -> list[Record]:
        """Close the inbox and return its records, as the loader reads them."""
        self.inbox.close()
        batches = SegmentReader(self.settings.inbox_dir).batches(10**9, 10**12)
        return [record for batch in batches for record in batch.records]

    def rejected(self) -> dict[tuple[str, str], float]:
        """The counted refusals, by reason and key."""
        return {
            (sample.labels["reason"], sample.labels["key"]): sample.value
            for family in self.metrics.rejected.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def accepted(self) -> float:
        """The number of accepted events of the key."""
        labels = {"key": FINGERPRINT}
        return self.metrics.registry.get_sample_value("ciolake_accepted_events_total", labels) or 0


@pytest.fixture
def bench(settings: Settings, inbox: LocalInbox, now: Callable[[], float]) -> Bench:
    """A receiver with the shared settings, inbox and clock."""
    return Bench(settings, inbox, now)


def test_a_signed_body_is_stored_as_received(bench: Bench, sign: Sign) -> None:
    """It is answered 200, stored byte by byte with its facts, and counted."""
    body = b"\x00\xff not JSON, not text \r\n"

    answer = bench.post(body, sign(body))

    assert answer == Answer(200)
    received_at = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert bench.stored() == [Record(body, received_at, "1700000000", FINGERPRINT, len(body))]
    assert bench.accepted() == 1
    assert bench.metrics.registry.get_sample_value("ciolake_accepted_bytes_total") == len(body)
    assert bench.metrics.registry.get_sample_value("ciolake_append_seconds_count") == 1
    assert bench.rejected() == {}


def test_the_record_is_on_the_disk_when_the_answer_is_given(bench: Bench, sign: Sign) -> None:
    """When the answer is 200 the open segment contains the body."""
    bench.post(BODY, sign(BODY))

    files = [path.read_bytes() for path in bench.settings.inbox_dir.iterdir()]
    assert any(BODY in data for data in files)


def test_the_same_event_again_is_stored_again(bench: Bench, sign: Sign) -> None:
    """The receiver does not detect repeats: it answers 200, and the tables drop duplicates."""
    assert bench.post(BODY, sign(BODY)) == bench.post(BODY, sign(BODY)) == Answer(200)
    assert len(bench.stored()) == 2


def test_a_verified_body_is_stored_with_any_content(bench: Bench, sign: Sign) -> None:
    """The receiver does not parse the body."""
    bodies = [b"", b"{", b"null", b"\xff\xfe", b"[" * 50_000]

    assert [bench.post(body, sign(body)) for body in bodies] == [Answer(200)] * 5
    assert [record.body for record in bench.stored()] == bodies


def test_every_active_key_is_accepted_and_counted_under_its_fingerprint(
    bench: Bench, sign: Sign
) -> None:
    """During a rotation both keys work, and the counters show which one is used."""
    old, new = SigningKey.from_text("test_signing_key"), SigningKey.from_text("schüssel")
    bench.set(signing_keys=(old, new))

    assert bench.post(BODY, sign(BODY, key=old)) == Answer(200)
    assert bench.post(BODY, sign(BODY, key=new)) == Answer(200)

    assert [record.key_fingerprint for record in bench.stored()] == ["651bf3b7", "2ea55cc6"]


@pytest.mark.parametrize("keys", [(), None])
def test_without_a_key_everything_is_503(
    bench: Bench, sign: Sign, keys: tuple[SigningKey, ...] | None
) -> None:
    """Without a key nothing is accepted, and the signature is not checked."""
    bench.set(signing_keys=keys)

    answers = [bench.post(BODY, sign(BODY)), bench.post(BODY, {}), bench.post(b"", {}, 10**18)]

    assert answers == [Answer(503, "no_key")] * 3
    assert bench.rejected() == {("no_key", ""): 3}
    assert "CIO_WEBHOOK_SIGNING_KEYS" in (bench.receiver.trouble() or "")
    assert bench.stored() == []


@pytest.mark.parametrize("missing", [["X-CIO-Signature"], ["X-CIO-Timestamp"], None])
def test_a_missing_header_is_401(bench: Bench, sign: Sign, missing: list[str] | None) -> None:
    """For either header or both; the body is not read."""
    headers = sign(BODY)
    source = Source(BODY)

    answer = bench.post(
        source, {name: headers[name] for name in headers if missing and name not in missing}
    )

    assert answer == Answer(401, "missing_header")
    assert source.taken == 0
    assert bench.rejected() == {("missing_header", ""): 1}


@pytest.mark.parametrize("name", ["X-CIO-Signature", "X-CIO-Timestamp"])
def test_a_malformed_header_is_401(bench: Bench, sign: Sign, name: str) -> None:
    """A server joins a doubled header with a comma, which is malformed too."""
    headers = sign(BODY)
    right = headers[name]
    malformed = {
        "doubled": f"{right},{right}",
        "doubled, with a blank": f"{right}, {right}",
        "doubled, once empty": f"{right},",
        "empty": "",
        "latin-1": "\xe9" * 64,
        "beyond latin-1": "\u0661" * 64,
        "10 kB": "a" * 10_240,
    }

    answers = {
        kind: bench.post(BODY, {**headers, name: value}) for kind, value in malformed.items()
    }

    assert answers == dict.fromkeys(malformed, Answer(401, "malformed_header"))
    assert bench.rejected() == {("malformed_header", ""): len(malformed)}


def in_query(headers: dict[str, str]) -> str:
    """Return the query string in which a relay sends both values."""
    return urlencode(
        {
            "cio_signature": headers["X-CIO-Signature"],
            "cio_timestamp": headers["X-CIO-Timestamp"],
        }
    )


def test_the_query_string_can_have_the_signature_if_the_setting_allows_it(
    bench: Bench, sign: Sign
) -> None:
    """Only if both headers are missing, and if each parameter is there once."""
    query = in_query(sign(BODY))
    assert bench.post(BODY, {}, query=query).status == 401
    bench.set(is_signature_in_query=True)

    assert bench.post(BODY, {}, query=query).status == 200
    assert bench.post(BODY, {}, query=f"{query}&{query}").status == 401
    assert bench.post(BODY, {}, query="&".join("abcdefghi")).status == 401
    assert bench.post(BODY, sign(BODY, at=1), query=query).status == 401
    assert bench.post(BODY + b" ", {}, query=query).status == 401


def test_a_wrong_signature_is_401(bench: Bench, sign: Sign) -> None:
    """Another key, another body, another time: nothing is stored. `auto` has tests of its own."""
    bench.set(unverified_status=401)
    other = SigningKey.from_text("another_signing_key")
    headers = [sign(BODY, key=other), sign(b"{}"), {**sign(BODY), "X-CIO-Timestamp": "1700000001"}]

    answers = [bench.post(BODY, one) for one in headers]

    assert answers == [Answer(401, "wrong_signature")] * 3
    assert bench.rejected() == {("wrong_signature", ""): 3}
    assert bench.stored() == []


def test_an_unverified_request_is_503_if_the_setting_says_so(bench: Bench, sign: Sign) -> None:
    """With CIO_UNVERIFIED_STATUS=503; nothing else changes."""
    bench.set(unverified_status=503)

    assert bench.post(BODY, {}) == Answer(503, "missing_header")
    assert bench.post(BODY, sign(b"{}")) == Answer(503, "wrong_signature")
    assert bench.post(BODY, {**sign(BODY), "X-CIO-Timestamp": "x"}).status == 503
    assert bench.stored() == []


@pytest.mark.parametrize("age", [300, -300])
def test_the_time_window_is_inclusive(bench: Bench, sign: Sign, age: int) -> None:
    """A timestamp 300 s in the past or in the future is accepted."""
    assert bench.post(BODY, sign(BODY, at=1_700_000_000 - age)) == Answer(200)


@pytest.mark.parametrize("age", [301, -301])
@pytest.mark.parametrize("unverified_status", [401, 503])
def test_a_stale_timestamp_is_401(
    bench: Bench, sign: Sign, age: int, unverified_status: int
) -> None:
    """Even with a valid signature; it is counted by key and by age."""
    bench.set(unverified_status=unverified_status)

    answer = bench.post(BODY, sign(BODY, at=1_700_000_000 - age))

    assert answer == Answer(401, "stale_timestamp", FINGERPRINT)
    assert bench.rejected() == {("stale_timestamp", FINGERPRINT): 1}
    assert bench.metrics.stale_total() == 1
    name = "ciolake_stale_timestamp_age_seconds_bucket"
    is_ahead = {"le": "-300.0"}
    assert bench.metrics.registry.get_sample_value(name, is_ahead) == (age < 0)
    assert bench.stored() == []


def test_a_stale_timestamp_is_accepted_if_the_setting_says_so(bench: Bench, sign: Sign) -> None:
    """With CIO_STALE_TIMESTAMPS=accept it is stored, and still counted."""
    bench.set(stale_timestamps="accept")

    answer = bench.post(BODY, sign(BODY, at=1_600_000_000))

    assert answer == Answer(200)
    assert bench.rejected() == {}
    assert bench.metrics.stale_total() == 1
    assert [record.timestamp for record in bench.stored()] == ["1600000000"]


def test_accepting_stale_timestamps_does_not_accept_wrong_signatures(
    bench: Bench, sign: Sign
) -> None:
    """The setting concerns only the time window."""
    bench.set(stale_timestamps="accept")

    headers = {**sign(BODY), "X-CIO-Timestamp": "1600000000"}
    assert bench.post(BODY, headers) == Answer(401, "wrong_signature")


def test_the_first_stale_timestamp_is_a_warning(bench: Bench, sign: Sign) -> None:
    """One log line says what to do; further ones are only counted."""
    with capture_logs() as lines:
        for _ in range(3):
            bench.post(BODY, sign(BODY, at=1_600_000_000))

    (line,) = lines
    assert line["log_level"] == "warning"
    assert line["age_seconds"] == 100_000_000
    assert line["key"] == FINGERPRINT
    assert "CIO_STALE_TIMESTAMPS" in line["advice"]


@pytest.mark.parametrize("size", [MIB, MIB - 1])
def test_a_body_within_the_limit_is_stored_whole(bench: Bench, sign: Sign, size: int) -> None:
    """The limit is inclusive."""
    bench.set(max_body_bytes=MIB)
    body = bytes(size)

    assert bench.post(Source(body, piece=70_000), sign(body), size) == Answer(200)
    (record,) = bench.stored()
    assert (record.body, record.body_bytes, record.body_sha256) == (body, size, None)


@pytest.mark.parametrize("size", [MIB + 1, 8 * MIB])
def test_only_the_beginning_of_a_larger_body_is_stored_with_size_and_digest(
    bench: Bench, sign: Sign, size: int
) -> None:
    """The answer is 200, for pieces of any size and with or without a known length."""
    bench.set(max_body_bytes=MIB)
    body = NUMBERS[:size]
    ways = list(itertools.product([MIB, 7000], [size, None]))

    answers = [bench.post(Source(body, piece), sign(body), length) for piece, length in ways]

    assert answers == [Answer(200)] * len(ways)
    facts = (body[:CUT_BYTES], size, sha256(body).hexdigest(), True)
    stored = [(one.body, one.body_bytes, one.body_sha256, one.is_cut) for one in bench.stored()]
    assert stored == [facts] * len(ways)


def test_a_body_over_a_small_limit_is_cut_at_the_limit(bench: Bench, sign: Sign) -> None:
    """This holds for a limit below 64 KiB: a body over the limit is never stored as whole."""
    bench.set(max_body_bytes=1024)
    body = bytes(1025)

    bench.post(body, sign(body))

    (record,) = bench.stored()
    assert (len(record.body), record.body_bytes, record.is_cut) == (1024, 1025, True)


def test_a_larger_body_is_verified_to_its_last_byte(bench: Bench, sign: Sign) -> None:
    """The signature covers the part that is not stored too."""
    bench.set(max_body_bytes=MIB, unverified_status=401)
    body = bytes(2 * MIB)

    assert bench.post(body[:-1] + b"x", sign(body)) == Answer(401, "wrong_signature")
    assert bench.stored() == []


def test_a_body_over_eight_times_the_limit_is_413_unread(bench: Bench, sign: Sign) -> None:
    """If the length is known, nothing is read."""
    bench.set(max_body_bytes=1024)
    source = Source(bytes(8193))

    assert bench.post(source, sign(bytes(8193)), 8193) == Answer(413, "too_large")
    assert source.taken == 0
    assert bench.rejected() == {("too_large", ""): 1}


def test_a_body_of_unknown_length_over_eight_times_the_limit_is_413(
    bench: Bench, sign: Sign
) -> None:
    """The receiver stops reading at that size."""
    bench.set(max_body_bytes=1024)
    body = bytes(100_000)
    source = Source(body, piece=1024)

    assert bench.post(source, sign(body), None) == Answer(413, "too_large")
    assert source.taken == 9 * 1024
    assert bench.stored() == []


def test_an_unsigned_request_of_any_size_is_401(bench: Bench) -> None:
    """The headers are checked before the size."""
    assert bench.post(b"", {}, 10**12) == Answer(401, "missing_header")


def test_reading_a_large_body_needs_no_more_memory_than_the_limit(bench: Bench, sign: Sign) -> None:
    """A body of eight times the limit is read in pieces that are not kept."""
    limit = 4 * MIB
    bench.set(max_body_bytes=limit)
    body = bytes(8 * limit)
    headers = sign(body)
    source = Source(body)

    tracemalloc.start()
    try:
        answer = bench.post(source, headers, len(body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer == Answer(200)
    assert peak < limit + 3 * MIB


def test_a_body_that_ends_early_is_408(bench: Bench, sign: Sign) -> None:
    """A body shorter than Content-Length is not stored, even if its signature is valid."""
    part = BODY[:-10]

    assert bench.post(Source(part), sign(part), len(BODY)) == Answer(408, "incomplete")
    assert bench.rejected() == {("incomplete", ""): 1}
    assert bench.stored() == []


@pytest.mark.parametrize("length", [len(BODY), None])
def test_a_broken_connection_is_408(bench: Bench, sign: Sign, length: int | None) -> None:
    """An error while reading means an incomplete request."""
    source = Source(BODY[:10], error=ConnectionResetError())

    assert bench.post(source, sign(BODY), length) == Answer(408, "incomplete")


def test_no_more_is_read_than_the_content_length(bench: Bench, sign: Sign) -> None:
    """The bytes after it belong to the next request, and the stream could wait for ever."""
    source = Source(BODY + b"POST /next", error=RuntimeError("asked for more"))

    assert bench.post(source, sign(BODY), len(BODY)) == Answer(200)
    assert source.taken == len(BODY)


def test_without_a_usable_length_the_body_is_read_to_its_end(bench: Bench, sign: Sign) -> None:
    """A chunked request has no length, and one that is not a number is ignored."""
    lengths = (None, "", "abc", "-5", "1e3", "9" * 25, "\u0661")

    answers = {length: bench.post(BODY, sign(BODY), length) for length in lengths}

    assert answers == dict.fromkeys(lengths, Answer(200))
    assert [record.body for record in bench.stored()] == [BODY] * len(lengths)


def test_a_full_inbox_is_503(bench: Bench, sign: Sign) -> None:
    """At the limit of CIO_INBOX_MAX_BYTES; `trouble` names the setting."""
    bench.inbox.close()
    bench.inbox = LocalInbox(bench.settings.inbox_dir, max_bytes=10)
    bench.set()
    assert bench.post(BODY, sign(BODY)) == Answer(200)

    assert bench.post(BODY, sign(BODY)) == Answer(503, "inbox_full", FINGERPRINT)
    assert bench.rejected() == {("inbox_full", FINGERPRINT): 1}
    assert "CIO_INBOX_MAX_BYTES" in (bench.receiver.trouble() or "")
    assert len(bench.stored()) == 1


@contextmanager
def stuck(folder: Path) -> Iterator[LocalInbox]:
    """An inbox that stores nothing until the end of the block, like a disk that hangs."""
    may_store = Event()

    def clock() -> float:
        may_store.wait(20)
        return 1_700_000_000.0

    inbox = LocalInbox(folder, clock=clock)
    try:
        yield inbox
    finally:
        may_store.set()
        inbox.close()


def test_an_inbox_that_does_not_store_in_time_is_503(bench: Bench, sign: Sign) -> None:
    """After CIO_APPEND_DEADLINE_SECONDS, before the sender gives up."""
    with stuck(bench.settings.inbox_dir) as bench.inbox:
        bench.set(append_deadline_seconds=0.05)

        assert bench.post(BODY, sign(BODY)) == Answer(503, "inbox_timeout", FINGERPRINT)
        assert bench.rejected() == {("inbox_timeout", FINGERPRINT): 1}


def test_a_stopping_receiver_is_503(bench: Bench, sign: Sign) -> None:
    """When the inbox is closed."""
    bench.inbox.close()

    assert bench.post(BODY, sign(BODY)) == Answer(503, "stopping", FINGERPRINT)
    assert "is stopping" in (bench.receiver.trouble() or "")


def test_a_failing_disk_is_503(bench: Bench, sign: Sign) -> None:
    """A real error of the file system: the folder is missing."""
    bench.settings.inbox_dir.rmdir()

    assert bench.post(BODY, sign(BODY)) == Answer(503, "inbox_error", FINGERPRINT)
    bench.settings.inbox_dir.mkdir()
    assert bench.post(BODY, sign(BODY)) == Answer(200)


def test_an_unforeseen_error_is_503_and_logged_without_its_text(bench: Bench, sign: Sign) -> None:
    """An answer 500 would stall the feed for an hour."""
    source = Source(BODY[:3], error=RuntimeError("secret text"))

    with capture_logs() as lines:
        answer = bench.post(source, sign(BODY), None)

    assert answer == Answer(503, "exception")
    (line,) = lines
    assert (line["event"], line["error"]) == ("request_failed", "RuntimeError")
    assert re.fullmatch(r"test_receiver\.py:\d+", line["at"])
    assert "secret" not in str(line)
    assert bench.rejected() == {("exception", ""): 1}


def test_every_step_answers_an_unforeseen_error(bench: Bench, sign: Sign) -> None:
    """An event loop that calls the steps one by one gets an answer from each, counted once."""

    def failing() -> bytes:
        raise RuntimeError("secret text")

    check = bench.begun(sign(BODY), BODY)
    record = bench.receiver.examine(bench.begun(sign(BODY), BODY), lambda: BODY, len(BODY))
    assert isinstance(record, Record)

    answers = [
        bench.receiver.examine(check, failing, len(BODY)),
        bench.receiver.complete((), (), InboxError("the disk refused")),
        bench.receiver.store(replace(record, timestamp="\xe9")),
    ]

    assert [answer.status for answer in answers if isinstance(answer, Answer)] == [503] * 3
    assert sum(bench.rejected().values()) == 3


def test_a_request_is_answered_even_if_counting_fails(bench: Bench) -> None:
    """Metrics are files on a disk too; the log says that a count is missing."""

    class FailingCounter:
        """A counter that cannot be increased."""

        def labels(self, *_: str) -> Any:
            """Raise the error of a full disk."""
            raise OSError(28, "no space left")

    bench.metrics.rejected = FailingCounter()  # type: ignore[assignment]

    with capture_logs() as lines:
        answer = bench.post(BODY, {})

    assert answer == Answer(401, "missing_header")
    assert [line["event"] for line in lines] == ["request_refused", "refusal_not_counted"]


def test_a_request_can_be_examined_in_steps(bench: Bench, sign: Sign) -> None:
    """`begin` refuses by the headers; the result of `examine` is the same as for a whole body."""
    headers = sign(BODY)
    assert bench.receiver.begin(None, b"1", None) == Answer(401, "missing_header")
    check = bench.begun(headers, BODY[:5], BODY[5:])

    record = bench.receiver.examine(check, lambda: BODY[:4], len(BODY), "digest")

    assert isinstance(record, Record)
    assert (record.body, record.body_bytes, record.body_sha256) == (BODY[:4], len(BODY), "digest")
    assert record.timestamp == headers["X-CIO-Timestamp"]
    assert bench.rejected() == {("missing_header", ""): 1}


def test_a_receiver_with_a_key_and_a_working_disk_has_no_trouble(bench: Bench) -> None:
    """Then it refuses nothing."""
    assert bench.receiver.trouble() is None


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["X-CIO-Signature", "X-CIO-Timestamp", "Content-Type", "Expect"]),
        st.text(max_size=80),
    ),
    st.binary(max_size=200),
    st.none() | st.text(max_size=20) | st.integers(-10, 300),
)
def test_an_unverified_request_is_never_stored_and_never_raises(
    bench: Bench, headers: dict[str, str], body: bytes, length: int | str | None
) -> None:
    """With any headers, body and length it is refused, and the reason is counted."""
    before = sum(bench.rejected().values())

    answer = bench.post(body, headers, length)

    assert answer.status in {401, 408, 413}
    assert sum(bench.rejected().values()) == before + 1
    assert list(bench.settings.inbox_dir.iterdir()) == []
