"""Lists in pages, in the four paging styles of the App API.

A list is lazy: a page is fetched when the items of the page before it are used up. Each iteration
starts again with the first page. Pure except for the function that fetches a page.
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
    """How an operation is paged.

    Attributes:
        style: The query parameter for the position of a page. `start` and `cursor` are tokens of
            the vendor, `offset` counts items from 0, `page` counts pages from 1.
        items: The key of the items in the answer.
        max_limit: The most items in a page; None if the vendor does not document it.
    """

    style: Style
    items: str
    max_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page.

    Attributes:
        items: In the vendor's order; may be empty.
        next: The position of the next page as text: `start`, `cursor`, `offset` or `page` of a new
            call. None for the last page.
        body: The complete answer.
    """

    items: list[Item] = field(repr=False)
    next: str | None
    body: dict[str, Json] = field(repr=False)


class Pages(Generic[Item]):
    """A list in pages. Iterate over it for the items, or over `pages()` for the pages."""

    def __init__(
        self,
        operation: str,
        paging: Paging,
        fetch: Callable[[str | None], dict[str, Json]],
        start: str | None,
    ) -> None:
        """Create a list. Nothing is fetched yet.

        Args:
            operation: The vendor's name of the call.
            paging: How the operation is paged.
            fetch: Fetches the page at a position; None is the first page.
            start: The position to start at.
        """
        self._operation = operation
        self._paging = paging
        self._fetch = fetch
        self._start = start

    def __repr__(self) -> str:
        return f"Pages({self._operation!r})"

    def __iter__(self) -> Iterator[Item]:
        """Iterate over the items of all pages.

        Raises:
            CallError: A page could not be fetched; the items before it were returned.
        """
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[Item]]:
        """Iterate over the pages.

        After a failure, continue with a new call that starts at `next` of the last page.

        Raises:
            CallError: A page could not be fetched.
            ResponseError: A page has no list of items, or the vendor sent a position or a page
                twice, so that the list would never end.
        """
        position = self._start
        seen = set() if position is None else {position}
        is_counted = self._paging.style in ("offset", "page")
        before: list[Item] | None = None
        while True:
            page = self._page(position)
            # Counted positions always differ, so there the items show that the vendor ignores them.
            is_repeated = is_counted and bool(before) and page.items == before
            if page.next in seen or is_repeated:
                raise self._error("the vendor sent the same page twice, the list would not end")
            yield page
            if page.next is None:
                return
            position = page.next
            seen.add(position)
            before = page.items

    def _page(self, position: str | None) -> Page[Item]:
        body = self._fetch(position)
        items = body.get(self._paging.items)
        if items is None:  # some lists have null if they are empty
            items = []
        if not isinstance(items, list):
            raise self._error(f"{self._paging.items} is not a list")
        return Page(items, self._next(position, body, len(items)), body)

    def _next(self, position: str | None, body: dict[str, Json], count: int) -> str | None:
        style = self._paging.style
        if style in ("offset", "page"):
            # The end is a page without items. A short page is not the end: the vendor reduces a
            # limit that is too high without an error.
            step, first = (count, 0) if style == "offset" else (1, 1)
            return str(int(position or first) + step) if count else None
        if style == "start":
            token = body.get("next")
        else:
            meta = body.get("meta")
            pagination = meta.get("pagination") if isinstance(meta, dict) else None
            token = pagination.get("next_cursor") if isinstance(pagination, dict) else None
        return str(token) if token else None

    def _error(self, problem: str) -> ResponseError:
        return ResponseError(
            f"{self._operation}: {problem}.", operation=self._operation, attempts=1
        )


def check_limit(limit: Json, max_limit: int | None) -> None:
    """Check the limit of a page: the vendor reduces a limit that is too high without an error.

    Raises:
        ValidationError: The limit is less than 1, or larger than `max_limit`.
    """
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValidationError("must be a whole number of at least 1", field="limit")
    if max_limit is not None and limit > max_limit:
        raise ValidationError(
            f"must be at most {max_limit}; iterate over the pages for more", field="limit"
        )
