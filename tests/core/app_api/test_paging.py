"""Lists in pages: lazy, complete, resumable, and never endless."""

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
    """Create a list with pages by position, and the list of positions that are fetched."""
    fetched: list[str | None] = []

    def fetch(at: str | None) -> dict[str, Any]:
        fetched.append(at)
        return answers[at]

    return Pages("listThings", paging, fetch, start), fetched


def test_pages_are_fetched_when_they_are_needed() -> None:
    """A page is fetched when the items of the page before it are used up."""
    things, fetched = pages(START, {None: {"things": [1, 2], "next": "a"}, "a": {"things": [3]}})
    items = iter(things)
    assert fetched == []

    assert [next(items), next(items)] == [1, 2]
    assert fetched == [None]
    assert list(items) == [3]


def test_every_iteration_starts_again() -> None:
    """A list can be iterated twice."""
    things, _ = pages(START, {None: {"things": [1]}})

    assert list(things) == list(things)


@pytest.mark.parametrize("end", [{}, {"next": ""}, {"next": None}])
def test_absent_or_empty_next_is_the_end(end: dict[str, Any]) -> None:
    """The vendor has several forms."""
    things, _ = pages(START, {None: {"things": [1]} | end})

    assert [page.next for page in things.pages()] == [None]


def test_empty_page_in_the_middle_is_not_the_end() -> None:
    """A page with a `next` is not the last one."""
    answers = {
        None: {"things": [], "next": "a"},
        "a": {"things": None, "next": "b"},
        "b": {"things": [1]},
    }

    assert list(pages(START, answers)[0]) == [1]


def test_iteration_starts_at_a_given_position() -> None:
    """`next` of a page starts a new list; a page has the complete answer."""
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
def test_position_that_repeats_is_an_error(answers: dict[str | None, Any]) -> None:
    """The list would never end."""
    with pytest.raises(ResponseError, match=r"listThings: .*same page twice"):
        list(pages(START, answers)[0])


@pytest.mark.parametrize("style", ["offset", "page"])
def test_page_that_repeats_is_an_error(style: Any) -> None:
    """The same items at another position: the vendor ignores the position."""
    things = Pages[int]("listThings", Paging(style, "things"), lambda _: {"things": [1]}, None)

    with pytest.raises(ResponseError, match="same page twice"):
        list(things)


def test_offset_counts_the_items_that_arrived() -> None:
    """If the vendor reduces the limit, no item is lost."""
    answers: dict[str | None, Any] = {
        None: {"things": [1, 2, 3]},
        "3": {"things": [4]},
        "4": {"things": []},
    }

    things, fetched = pages(Paging("offset", "things"), answers)
    assert list(things) == [1, 2, 3, 4]
    assert fetched == [None, "3", "4"]


@pytest.mark.parametrize("meta", [None, {}, {"pagination": None}, {"pagination": {}}])
def test_cursor_list_without_a_cursor_ends(meta: Any) -> None:
    """Any part of the answer may be absent."""
    things, _ = pages(Paging("cursor", "things"), {None: {"things": [1], "meta": meta}})

    assert list(things) == [1]


def test_answer_without_a_list_is_an_error() -> None:
    """An answer of another shape is not an empty list."""
    with pytest.raises(ResponseError, match="things"):
        list(pages(START, {None: {"things": {"a": 1}}})[0])


def test_list_shows_no_content() -> None:
    """Pages contain personal data; a `repr` shows only the operation."""
    things, _ = pages(START, {None: {"things": ["ada@example.com"], "also": "ada@example.com"}})

    assert repr(things) == "Pages('listThings')"
    assert "ada@" not in repr(next(things.pages()))


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "10"])
def test_limit_that_is_not_a_positive_number_is_refused(app: AppClient, limit: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(ValidationError, match=r"^limit: "):
        app.segments.membership(7, limit=limit)


def test_positions_are_encoded_and_filters_stay(app: AppClient, double: AppApiDouble) -> None:
    """Every page is fetched with the same filters; a `+` in a position stays a `+`."""
    double.pages = 2

    items = list(app.messages.list(type="email", drafts=False, limit=2))
    assert len(items) == 4
    filters = {"type": "email", "drafts": "false", "limit": "2"}
    assert [filters, filters | {"start": "a+b/&=1"}] == double.queries


def test_interrupted_iteration_continues_over_a_socket(
    app: AppClient, double: AppApiDouble
) -> None:
    """A new call with `start` returns the remaining pages."""
    double.pages = 3

    nexts = [page.next for page in app.segments.membership(7, start="a+b/&=1").pages()]
    assert nexts == ["a+b/&=2", None]


def test_failed_page_is_an_error_after_the_items_before_it(
    make_app: Callable[..., AppClient], vendor: VendorServer
) -> None:
    """A failure in the middle does not look like the end of the list."""
    page = {"identifiers": [{"id": "1"}], "next": "a"}
    vendor.replies = [Reply(200, json.dumps(page).encode()), Reply(400)]
    things = iter(make_app().segments.membership(7))

    assert next(things) == {"id": "1"}
    with pytest.raises(BadRequestError):
        next(things)
