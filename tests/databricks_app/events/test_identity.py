"""Two bodies with the same key are one event if their JSON is equal."""

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
def test_order_white_space_and_escapes_make_no_difference(event: object) -> None:
    """Other fields than the compared ones make no difference either."""
    other = {"event_id": "x", **backwards(event), "new": 1}  # type: ignore[dict-item]  # a dict

    one = json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert is_same_event(one, json.dumps(other, indent=1).encode())


EQUAL = [("1", "1.0"), ("1e2", "100"), ("0.1", "0.10"), ("-0", "0")]
DIFFERENT = [
    ("1", '"1"'),
    ("1", "true"),
    ("0", "false"),
    ("null", '""'),
    ("[1, 2]", "[2, 1]"),
    ("9007199254740993", "9007199254740992"),
    ("1e99999999999999999999", "1e99999999999999999998"),
    ('{"a": null}', "{}"),
]


@pytest.mark.parametrize(
    ("pairs", "is_same"), [(EQUAL, True), (DIFFERENT, False)], ids=["equal", "different"]
)
def test_values_are_compared_by_their_meaning(
    pairs: list[tuple[str, str]], *, is_same: bool
) -> None:
    """Numbers by their exact value; values of different types are different."""
    wrong = []
    for pair in pairs:
        bodies = [f'{{"data": {{"v": {value}}}}}'.encode() for value in pair]
        if {is_same_event(*bodies), is_same_event(*reversed(bodies))} != {is_same}:
            wrong.append(pair)

    assert wrong == []


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_can_be_compared(one: bytes, other: bytes) -> None:
    """A body that cannot be read is equal only to the same bytes."""
    assert is_same_event(one, one)
    assert is_same_event(one, other) in {True, False}


def test_unreadable_bodies_are_compared_by_their_bytes() -> None:
    """Also if both are unreadable for the same reason."""
    assert not is_same_event(b"{", b"{ ")
    assert not is_same_event(b"\xff", b"\xfe")
    assert not is_same_event(b"[1]", b"[1 ]")
