"""Deadlines: one list a kind, in order by itself."""

from __future__ import annotations

from databricks_app.serving.http.deadlines import Deadlines


def test_members_are_due_in_the_order_in_which_they_came() -> None:
    """Each once."""
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.add("a", 0)
    deadlines.add("b", 5)
    deadlines.add("c", 6)
    deadlines.discard("b")

    assert list(deadlines.due(9)) == []
    assert list(deadlines.due(16)) == ["a", "c"]
    assert list(deadlines.due(99)) == []


def test_a_member_that_is_added_again_waits_from_then_on() -> None:
    """Also while the due ones are looked through, and if it is the only one."""
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.add("a", 0)

    for member in deadlines.due(10):
        deadlines.add(member, 10)

    assert (deadlines.oldest(), list(deadlines.due(19)), list(deadlines.due(20))) == (
        "a",
        [],
        ["a"],
    )


def test_shorten_holds_for_those_there_are_and_those_to_come() -> None:
    """Nobody waits longer than that, and nobody longer than before."""
    deadlines: Deadlines[str] = Deadlines(10)
    deadlines.add("a", 0)
    deadlines.add("b", 8)

    deadlines.shorten(5, 8)
    deadlines.add("c", 9)

    assert list(deadlines.due(10)) == ["a"]
    assert list(deadlines.due(13)) == ["b"]
    assert list(deadlines.due(14)) == ["c"]
