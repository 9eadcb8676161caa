"""Read a request's body from a stream, and keep only the beginning of a body that is too large."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from databricks_app.endpoint import LARGEST_FACTOR, bytes_to_read

# How much is kept of a body over the size limit.
CUT_BYTES = 64 << 10
_PIECE_BYTES = 1 << 20


class BodyStream(Protocol):
    """A body as a WSGI server provides it."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; no bytes at the end."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedBody:
    """A body that was read to its end.

    Attributes:
        kept: The whole body, or its first 64 KiB if it is over the limit.
        length: Bytes of the whole body.
        sha256: Hex digest of the whole body if `kept` is only a part, else None.
    """

    kept: bytes
    length: int
    sha256: str | None


def read_body(
    stream: BodyStream, update: Callable[[bytes], None], length: int | None, limit: int
) -> ReceivedBody | None:
    """Read a body to its end. Return None if it is over `LARGEST_FACTOR` times the limit.

    Errors of the stream pass through.

    Args:
        stream: The source of the body.
        update: Called with each piece.
        length: Announced length in bytes, None if it is not known. The stream may end earlier.
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
            # Over the limit: from here on only the digest of the whole body is computed.
            digest = hashlib.sha256()
            for one in pieces:
                digest.update(one)
            pieces = [_beginning(pieces, min(CUT_BYTES, limit))]
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    return ReceivedBody(body, total, digest.hexdigest() if digest else None)


def _beginning(pieces: list[bytes], size: int) -> bytes:
    """Return the first `size` bytes of a body without joining all pieces."""
    kept = bytearray()
    for piece in pieces:
        kept += piece[: size - len(kept)]
        if len(kept) == size:
            break
    return bytes(kept)
