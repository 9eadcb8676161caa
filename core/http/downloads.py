"""The file that a download is written to, from its start or continued.

Does no network I/O. The caller opens and closes the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO

from core.errors import ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_FIRST_BYTE = re.compile(r"bytes (\d+)-", re.ASCII)


class Sink:
    """Writes one download to a file. Each attempt starts again at `offset`."""

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
            file: Open for writing and seekable. The caller syncs and closes it.
            offset: How many bytes the file has already; only the rest is requested. If the server
                sends the whole file anyway, the file is written from its start.
            if_range: The `ETag` of those bytes. If it has changed, the server sends the whole file.
            on_answer: Called with the headers of each answer, before its body is written.
        """
        self._file = file
        self._offset = offset
        self._if_range = if_range
        self._on_answer = on_answer

    def headers(self) -> dict[str, str]:
        """Return the headers that request the rest; none if `offset` is 0."""
        if not self._offset:
            return {}
        condition = {"if-range": self._if_range} if self._if_range else {}
        return {"range": f"bytes={self._offset}-"} | condition

    def take(self, status: int, headers: Mapping[str, str], pieces: Iterable[bytes]) -> int:
        """Write an answer to the file; what an earlier attempt wrote is removed.

        Returns:
            How many bytes were written.

        Raises:
            ResponseError: The server sent another range than requested. Nothing was written.
        """
        start = self._offset if status == 206 else 0
        # Checked before writing: a wrong range would leave a gap in the file.
        found = _FIRST_BYTE.match(headers.get("content-range", ""))
        if status == 206 and (found is None or int(found[1]) != start):
            raise ResponseError(
                "download: the server sent another range than requested. Start again at offset 0."
            )
        if self._on_answer is not None:
            self._on_answer(headers)
        self._file.seek(start)
        self._file.truncate()
        return sum(self._file.write(piece) for piece in pieces)
