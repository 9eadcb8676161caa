"""Where a download goes: a file that is written piece by piece, from the start or continued.

Does no network I/O; the file is the caller's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from core.errors import ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_FIRST_BYTE = re.compile(r"bytes (\d+)-", re.ASCII)


class Sink:
    """A file that takes one download, again from `offset` with each attempt."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        offset: int = 0,
        if_range: str = "",
        on_answer: Callable[[Mapping[str, str]], object] | None = None,
    ) -> None:
        """Prepare a file.

        Args:
            file: Open for writing, seekable; the caller's to close and to sync.
            offset: How many bytes it holds already; the rest is asked for. A server that sends
                all the same is believed: the file is written from its start.
            if_range: The `ETag` of those bytes; if it has changed, all is sent anew.
            on_answer: Is told the headers of each answer before any of it is written.
        """
        self._file = file
        self._offset = offset
        self._if_range = if_range
        self._on_answer = on_answer

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest; none if all is wanted."""
        if not self._offset:
            return {}
        condition = {"if-range": self._if_range} if self._if_range else {}
        return {"range": f"bytes={self._offset}-"} | condition

    def take(self, status: int, headers: Mapping[str, str], pieces: Iterable[bytes]) -> int:
        """Write an answer; what an earlier attempt wrote is cut off.

        Returns:
            How many bytes were written.

        Raises:
            ResponseError: The server continues somewhere else than asked; nothing was written.
        """
        start = self._offset if status == 206 else 0
        found = _FIRST_BYTE.match(headers.get("content-range", ""))
        if status == 206 and (found is None or int(found[1]) != start):
            raise ResponseError("download: the server continued elsewhere; begin at the start.")
        if self._on_answer is not None:
            self._on_answer(headers)
        self._file.seek(start)
        self._file.truncate()
        return sum(self._file.write(piece) for piece in pieces)
