"""Whether two bodies with one key are one event: equal JSON is, in whatever bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.events.identity import is_same_event

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries(
    {"object_type": VALUES, "metric": VALUES, "data": st.dictionaries(st.text(max_size=3), VALUES)}
)


def backwards(value: object) -> object:
    """The same JSON with the fields of each object in the other order."""
    if isinstance(value, dict):
        return {name: backwards(value[name]) for name in reversed(value)}
    return [backwards(one) for one in value] if isinstance(value, list) else value


@given(EVENTS)
def test_order_white_space_and_escapes_do_not_count(event: object) -> None:
    """Nor do fields beside those that are compared."""
    other = {"event_id": "x", **backwards(event), "new": 1}  # type: ignore[dict-item]  # a dict

    one = json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert is_same_event(one, json.dumps(other, indent=1).encode())


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("1", "1.0", True),
        ("1e2", "100", True),
        ("0.1", "0.10", True),
        ("-0", "0", True),
        ("1", '"1"', False),
        ("1", "true", False),
        ("0", "false", False),
        ("null", '""', False),
        ("[1, 2]", "[2, 1]", False),
        ("9007199254740993", "9007199254740992", False),
        ("1e99999999999999999999", "1e99999999999999999998", False),
        ('{"a": null}', "{}", False),
    ],
)
def test_values_are_compared_as_what_they_mean(one: str, other: str, *, is_same: bool) -> None:
    """A number is its value, to the last digit; types are kept apart."""
    bodies = [f'{{"data": {{"v": {value}}}}}'.encode() for value in (one, other)]

    assert is_same_event(*bodies) is is_same
    assert is_same_event(*reversed(bodies)) is is_same


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_can_be_compared(one: bytes, other: bytes) -> None:
    """What cannot be read is equal to its own bytes alone."""
    assert is_same_event(one, one)
    assert is_same_event(one, other) in {True, False}


def test_unreadable_bodies_differ_by_their_bytes() -> None:
    """Also where both are unreadable for the same reason."""
    assert not is_same_event(b"{", b"{ ")
    assert not is_same_event(b"\xff", b"\xfe")
    assert not is_same_event(b"[1]", b"[1 ]")
