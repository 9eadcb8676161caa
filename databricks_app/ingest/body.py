"""Reads a request's body from a stream; of one that is too large only the beginning is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from databricks_app.endpoint import LARGEST_FACTOR, bytes_to_read

# What is kept of a body over the limit.
CUT_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20


class BodyStream(Protocol):
    """A body as a WSGI server gives it."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedBody:
    """What was read of a body.

    Attributes:
        kept: All of it, or its first 64 KiB if it is over the limit.
        length: Bytes of all of it.
        sha256: Hex digest of all of it if `kept` is less, else None.
    """

    kept: bytes
    length: int
    sha256: str | None


def read_body(
    stream: BodyStream, update: Callable[[bytes], None], length: int | None, limit: int
) -> ReceivedBody | None:
    """Read a body to its end; None if it is longer than `LARGEST_FACTOR` times the limit.

    Args:
        stream: Where it comes from; raises what it raises.
        update: Called with every piece.
        length: Bytes that will come; None if that is not known. Fewer may come.
        limit: Most bytes to keep.
    """
    pieces: list[bytes] = []
    digest: hashlib._Hash | None = None
    total = 0
    while piece := stream.read(bytes_to_read(length, total, _PIECE_BYTES)):
        update(piece)
        total += len(piece)
        if total > limit * LARGEST_FACTOR:
            return None
        if digest is not None:
            digest.update(piece)
            continue
        pieces.append(piece)
        if total > limit:
            digest = hashlib.sha256()
            for one in pieces:
                digest.update(one)
            pieces = [_beginning(pieces, min(CUT_BYTES, limit))]
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return ReceivedBody(body, total, digest.hexdigest() if digest else None)


def _beginning(pieces: list[bytes], size: int) -> bytes:
    """Return the first bytes of a body without putting all of it together."""
    kept = bytearray()
    for piece in pieces:
        kept += piece[: size - len(kept)]
        if len(kept) == size:
            break
    return bytes(kept)
