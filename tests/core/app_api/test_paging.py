"""Lists in pages: lazy, whole, resumable, and never without an end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from core.app_api import AppClient
from core.app_api.paging import Pages, Paging
from core.errors import BadRequestError, ResponseError, ValidationError
from tests.support.app_api_double import AppApiDouble
from tests.support.vendor_server import Reply, VendorServer

START = Paging("start", "things")


def pages(
    paging: Paging, answers: dict[str | None, Any], start: str | None = None
) -> tuple[Pages[Any], list[str | None]]:
    """Make a list whose pages begin where `answers` says, and the list of what was asked for."""
    asked: list[str | None] = []

    def fetch(at: str | None) -> dict[str, Any]:
        asked.append(at)
        return answers[at]

    return Pages("listThings", paging, fetch, start), asked


def test_nothing_is_fetched_before_it_is_wanted() -> None:
    """A list is lazy: a page is asked for when the one before is used up."""
    walk, asked = pages(START, {None: {"things": [1, 2], "next": "a"}, "a": {"things": [3]}})
    items = iter(walk)
    assert asked == []

    assert [next(items), next(items)] == [1, 2]
    assert asked == [None]
    assert list(items) == [3]


def test_every_walk_begins_anew() -> None:
    """A list can be walked twice."""
    walk, _ = pages(START, {None: {"things": [1]}})

    assert list(walk) == list(walk)


@pytest.mark.parametrize("end", [{}, {"next": ""}, {"next": None}])
def test_absent_or_empty_next_is_the_end(end: dict[str, Any]) -> None:
    """The vendor says it in several ways."""
    walk, _ = pages(START, {None: {"things": [1]} | end})

    assert [page.next for page in walk.pages()] == [None]


def test_empty_page_in_the_middle_is_not_the_end() -> None:
    """As long as a mark is sent there is more."""
    answers = {
        None: {"things": [], "next": "a"},
        "a": {"things": None, "next": "b"},
        "b": {"things": [1]},
    }

    assert list(pages(START, answers)[0]) == [1]


def test_walk_begins_where_it_is_told() -> None:
    """A page's `next` begins a new walk; the whole answer is at hand."""
    answers = {None: {"things": [1], "next": "a"}, "a": {"things": [2], "total": 9}}
    first = next(pages(START, answers)[0].pages())

    (second,) = pages(START, answers, first.next)[0].pages()
    assert second.items == [2]
    assert second.body == {"things": [2], "total": 9}


@pytest.mark.parametrize(
    "answers",
    [
        {None: {"things": [1], "next": "a"}, "a": {"things": [1], "next": "a"}},
        {
            None: {"things": [1], "next": "a"},
            "a": {"things": [2], "next": "b"},
            "b": {"things": [3], "next": "a"},
        },
    ],
    ids=["itself", "circle"],
)
def test_mark_that_repeats_is_an_error(answers: dict[str | None, Any]) -> None:
    """A list that would never end says so, instead of filling a disk."""
    with pytest.raises(ResponseError, match="listThings: the same page comes again"):
        list(pages(START, answers)[0])


@pytest.mark.parametrize("style", ["offset", "page"])
def test_vendor_that_does_not_count_is_an_error(style: Any) -> None:
    """The same items for another place mean that the place was not read."""
    walk = Pages[int]("listThings", Paging(style, "things"), lambda _: {"things": [1]}, None)

    with pytest.raises(ResponseError, match="the same page comes again"):
        list(walk)


def test_offset_counts_what_came_and_not_what_was_asked_for() -> None:
    """A limit that the vendor cut loses nothing."""
    answers: dict[str | None, Any] = {
        None: {"things": [1, 2, 3]},
        "3": {"things": [4]},
        "4": {"things": []},
    }

    walk, asked = pages(Paging("offset", "things"), answers)
    assert list(walk) == [1, 2, 3, 4]
    assert asked == [None, "3", "4"]


@pytest.mark.parametrize("meta", [None, {}, {"pagination": None}, {"pagination": {}}])
def test_cursor_list_without_a_cursor_ends(meta: Any) -> None:
    """Whatever part of the answer is absent."""
    walk, _ = pages(Paging("cursor", "things"), {None: {"things": [1], "meta": meta}})

    assert list(walk) == [1]


def test_list_that_is_no_list_is_an_error() -> None:
    """An answer of another shape is not taken for an empty one."""
    with pytest.raises(ResponseError, match="things is no list"):
        list(pages(START, {None: {"things": {"a": 1}}})[0])


def test_list_shows_no_content() -> None:
    """Pages hold people; their `repr` names the operation alone."""
    walk, _ = pages(START, {None: {"things": ["ada@example.com"], "also": "ada@example.com"}})

    assert repr(walk) == "Pages('listThings')"
    assert "ada@" not in repr(next(walk.pages()))


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "10"])
def test_limit_that_asks_for_nothing_is_refused(app: AppClient, limit: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(ValidationError, match="limit: must be a whole number from 1"):
        app.segments.membership(7, limit=limit)


def test_marks_are_encoded_and_filters_stay(app: AppClient, double: AppApiDouble) -> None:
    """Every page is asked for with the same filters; a `+` in a mark arrives as one."""
    double.pages = 2

    items = list(app.messages.list(type="email", drafts=False, limit=2))
    assert len(items) == 4
    filters = {"type": "email", "drafts": "false", "limit": "2"}
    assert [filters, filters | {"start": "a+b/&=1"}] == double.queries


def test_walk_begins_at_a_start_over_the_socket(app: AppClient, double: AppApiDouble) -> None:
    """An interrupted walk goes on."""
    double.pages = 3

    walked = [page.next for page in app.segments.membership(7, start="a+b/&=1").pages()]
    assert walked == ["a+b/&=2", None]


def test_failing_page_leaves_what_came_before(
    make_app: Callable[..., AppClient], vendor: VendorServer
) -> None:
    """A failure in the middle is an error, not a short list."""
    page = {"identifiers": [{"id": "1"}], "next": "a"}
    vendor.replies = [Reply(200, json.dumps(page).encode()), Reply(400)]
    walk = iter(make_app().segments.membership(7))

    assert next(walk) == {"id": "1"}
    with pytest.raises(BadRequestError):
        next(walk)
