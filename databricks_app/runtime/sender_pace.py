"""Whether the sender waits for us: one call at a time, the next after our answer. Pure.

The rate of such a sender is 1 / (our answer + its pause). A faster disk, or an inbox without a
network in between, makes it faster; more workers do not.
"""

from __future__ import annotations

from dataclasses import dataclass

# Fewer calls in a minute are no pattern.
_FEWEST_CALLS = 20
# A repeated call, or a second sender, may overlap now and then.
_MOST_OVERLAPPING = 0.02
# The others are first calls after the sender had nothing to send.
_FEWEST_PROMPT = 0.9
# A pause of up to this is short, and one that is not longer than the answer before it: the way to
# the sender and back is part of it.
_SHORT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class CallSums:
    """Sums over answered calls.

    Attributes:
        calls: Their number.
        overlapping: Those that began while another one was in flight.
        prompt: Those that began a short pause after an answer.
        answer_seconds: How long the answers of the prompt ones took, together.
        pause_seconds: How long the pauses before the prompt ones were, together.
    """

    calls: int = 0
    overlapping: int = 0
    prompt: int = 0
    answer_seconds: float = 0.0
    pause_seconds: float = 0.0


def is_short(pause_seconds: float, answer_seconds: float) -> bool:
    """Return whether a sender that pauses so long after an answer had its next event ready.

    Args:
        pause_seconds: From the answer to the next call.
        answer_seconds: How long that answer took.
    """
    return pause_seconds <= max(answer_seconds, _SHORT_SECONDS)


def most_events(sums: CallSums) -> float | None:
    """Return how many events a second a sender that waits for our answers can send at most.

    None if the sender does not wait for us: it makes calls in parallel, it has nothing more to
    send, or its own pauses are longer than our answers.

    Args:
        sums: The calls of the last minute.
    """
    if sums.calls < _FEWEST_CALLS or sums.overlapping > _MOST_OVERLAPPING * sums.calls:
        return None
    if sums.prompt < _FEWEST_PROMPT * sums.calls or sums.pause_seconds > sums.answer_seconds:
        return None
    # Means, not medians: the slow calls are part of the time that the sender waits.
    return sums.prompt / max(1e-6, sums.answer_seconds + sums.pause_seconds)


def describe(most: float) -> str:
    """Return the result of `most_events` as a sentence."""
    return f"Customer.io waits for us: at most {most:,.{1 if most < 10 else 0}f} events/s"
