"""Limit the loader's memory when many large events wait.

A load has several copies of a body: bytes, text (four bytes for each character if one is an emoji),
raw row, column, Arrow and Parquet. So only few large bodies are loaded at once, and the memory that
a load frees is returned to the system before the next load.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from databricks_app.events.record import Record
from databricks_app.loading.crash_isolation import Part

# Measured: a load of 16 MiB of e-mails with emoji needs 420 MB. Smaller portions would need more
# loads, and each load has a fixed cost.
PORTION_BYTES = 16 << 20
# For a smaller body the row needs more memory than the body, and the number of rows is limited.
LARGE_BODY_BYTES = 4 << 10

_MMAP_THRESHOLD = -3  # the constant M_MMAP_THRESHOLD of mallopt(3)
_MMAP_BYTES = 128 << 10


def prepare() -> None:
    """Make the allocators return freed memory at once. Call it before deltalake is imported."""
    # jemalloc, which is part of deltalake, keeps freed memory for 10 s by default.
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
    # glibc raises its mmap threshold when a large block is freed, and then keeps such blocks. A
    # fixed threshold switches that off, see mallopt(3).
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl has no mallopt
        libc.mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)


@contextmanager
def spared() -> Iterator[None]:
    """Switch the garbage collector off during a load, and return freed memory after it."""
    # Rows contain no reference cycles, but every collection visits all of them. Measured: a fifth
    # of the CPU time of a load.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
        pa.default_memory_pool().release_unused()


def portions(
    records: Sequence[Record], part: Part, most_bytes: int = PORTION_BYTES
) -> Iterator[Part]:
    """Split a part of a batch into portions that are loaded one after the other.

    Args:
        records: The records of the batch.
        part: The range of records to split.
        most_bytes: Most bytes of large bodies in a portion; a single body may exceed it.
    """
    start, size = part.start, 0
    for position in range(part.start, part.stop):
        length = len(records[position].body)
        if length <= LARGE_BODY_BYTES:
            continue
        if size and size + length > most_bytes:
            yield replace(part, start=start, stop=position)
            start, size = position, 0
        size += length
    yield replace(part, start=start)
