"""Lists that come in pages, in the five ways the App API knows.

A list is lazy: nothing is called until it is walked, each walk begins anew, and a page is asked
for when the one before is used up. Pure but for the function that fetches.
Source: https://docs.customer.io/integrations/api/app/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from core.errors import ResponseError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.http.responses import Json

Item = TypeVar("Item")
Style: TypeAlias = Literal["start", "offset", "page", "cursor"]


@dataclass(frozen=True, slots=True)
class Paging:
    """How an operation pages.

    Attributes:
        style: The query argument that says where a page begins. `start` and `cursor` are the
            vendor's marks, `offset` counts items from 0, `page` pages from 1.
        items: The key of the answer that holds the items.
        max_limit: The most items a page can hold, where the vendor says it.
    """

    style: Style
    items: str
    max_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page.

    Attributes:
        items: In the vendor's order; may be empty.
        next: Where the next page begins, as text: `start`, `cursor`, `offset` or `page` of a new
            call. None on the last page.
        body: The whole answer.
    """

    items: list[Item] = field(repr=False)
    next: str | None
    body: dict[str, Json] = field(repr=False)


class Pages(Generic[Item]):
    """A list in pages: walk it for its items, or its `pages()` for the pages."""

    def __init__(
        self,
        operation: str,
        paging: Paging,
        fetch: Callable[[str | None], dict[str, Json]],
        start: str | None,
    ) -> None:
        """Prepare a walk; nothing is fetched.

        Args:
            operation: The vendor's name of the call.
            paging: How it pages.
            fetch: Fetches the page that begins there; None is the first.
            start: Where to begin.
        """
        self._operation = operation
        self._paging = paging
        self._fetch = fetch
        self._start = start

    def __repr__(self) -> str:
        return f"Pages({self._operation!r})"

    def __iter__(self) -> Iterator[Item]:
        """Walk every item of every page.

        Raises:
            CallError: A page failed; the items before it were handed out.
        """
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[Item]]:
        """Walk the pages; one that failed is begun again at the `next` of the one before.

        Raises:
            CallError: A page failed.
            ResponseError: It holds no list, or the vendor sends the same place or page again, so
                that the list would never end.
        """
        at = self._start
        seen = set() if at is None else {at}
        before: list[Item] | None = None
        while True:
            page = self._page(at)
            if page.next in seen or self._is_repeated(page, before):
                raise self._error("the same page comes again, the list would never end")
            yield page
            if page.next is None:
                return
            at = page.next
            seen.add(at)
            before = page.items

    def _is_repeated(self, page: Page[Item], before: list[Item] | None) -> bool:
        """Whether the vendor does not count; a mark that differs is proof that it does."""
        return self._paging.style in ("offset", "page") and bool(before) and page.items == before

    def _page(self, at: str | None) -> Page[Item]:
        body = self._fetch(at)
        items = body.get(self._paging.items)
        if items is None:  # how some lists say that they are empty
            items = []
        if not isinstance(items, list):
            raise self._error(f"{self._paging.items} is no list")
        return Page(items, self._next(at, body, len(items)), body)

    def _next(self, at: str | None, body: dict[str, Json], count: int) -> str | None:
        style = self._paging.style
        if style in ("offset", "page"):
            # The end is a page without items. A short page is not the end: the vendor cuts a
            # limit it finds too high, and says nothing.
            step, first = (count, 0) if style == "offset" else (1, 1)
            return str(int(at or first) + step) if count else None
        found = body.get("next") if style == "start" else _cursor(body)
        return str(found) if found else None

    def _error(self, words: str) -> ResponseError:
        return ResponseError(f"{self._operation}: {words}.", operation=self._operation, attempts=1)


def _cursor(body: dict[str, Json]) -> Json:
    meta = body.get("meta")
    pagination = meta.get("pagination") if isinstance(meta, dict) else None
    return pagination.get("next_cursor") if isinstance(pagination, dict) else None


def check_limit(limit: Json, max_limit: int | None) -> None:
    """Refuse a limit that the vendor would silently cut, or that asks for nothing.

    Raises:
        ValidationError: Names `limit`.
    """
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValidationError("must be a whole number from 1", field="limit")
    if max_limit is not None and limit > max_limit:
        raise ValidationError(
            f"must be at most {max_limit}; walk the pages for more", field="limit"
        )
