"""Deadlines: one sorted list for each kind."""

from __future__ import annotations

from databricks_app.serving.http.deadlines import Deadlines


def test_members_are_due_in_the_order_of_arrival() -> None:
    """Each once."""
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.add("a", 0)
    deadlines.add("b", 5)
    deadlines.add("c", 6)
    deadlines.discard("b")

    assert list(deadlines.due(9)) == []
    assert list(deadlines.due(16)) == ["a", "c"]
    assert list(deadlines.due(99)) == []


def test_a_member_that_is_added_again_starts_its_time_again() -> None:
    """Also during the iteration over due members."""
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.add("a", 0)

    for member in deadlines.due(10):
        deadlines.add(member, 10)

    assert (deadlines.oldest(), list(deadlines.due(19)), list(deadlines.due(20))) == (
        "a",
        [],
        ["a"],
    )


def test_shorten_applies_to_present_and_future_members() -> None:
    """No member waits longer than that, or longer than before."""
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.add("a", 0)
    deadlines.add("b", 8)

    deadlines.shorten(5, 8)
    deadlines.add("c", 9)

    assert list(deadlines.due(10)) == ["a"]
    assert list(deadlines.due(13)) == ["b"]
    assert list(deadlines.due(14)) == ["c"]
