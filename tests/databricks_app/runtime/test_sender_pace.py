"""When the sender waits for us, and how many events it can send at most."""

from __future__ import annotations

import pytest

from databricks_app.runtime.sender_pace import CallSums, describe, is_short, most_events

# A volume: 100 calls, 150 ms an answer, 10 ms to the sender and back.
SERIAL = CallSums(calls=100, overlapping=0, prompt=100, answer_seconds=15.0, pause_seconds=1.0)


def test_the_most_events_of_a_serial_sender_are_its_calls_by_answer_and_pause() -> None:
    """Only the calls that began promptly count, so that silence between them does not."""
    after_silence = CallSums(105, 0, 100, 15.0, 1.0)

    assert most_events(SERIAL) == pytest.approx(6.25)
    assert most_events(after_silence) == pytest.approx(6.25)


@pytest.mark.parametrize(
    ("why", "sums"),
    [
        ("no call", CallSums()),
        ("too few calls", CallSums(19, 0, 19, 2.0, 0.1)),
        ("calls in parallel", CallSums(100, 3, 97, 15.0, 1.0)),
        ("nothing more to send", CallSums(100, 0, 89, 15.0, 1.0)),
        ("its own pauses are longer", CallSums(100, 0, 100, 0.05, 4.0)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_sender_does_not_wait_for_us(why: str, sums: CallSums) -> None:
    """Each reason alone is enough."""
    assert most_events(sums) is None, why


def test_a_pause_is_short_up_to_a_limit_or_up_to_the_answer_before_it() -> None:
    """A sender that is far away has longer pauses, which matter less if our answers are slow."""
    assert is_short(0.05, 0.001)
    assert not is_short(0.06, 0.001)
    assert is_short(0.15, 0.2)
    assert not is_short(0.25, 0.2)


def test_the_sentence_has_a_digit_more_for_a_slow_receiver() -> None:
    """6.3 and 1,250."""
    assert describe(6.25).endswith("waits for us: at most 6.2 events/s")
    assert describe(1250.4).endswith("at most 1,250 events/s")
