"""Keeps the loader's memory small behind a backlog of large events.

A load holds a body many times: as bytes, as text (four bytes a character where one of them is an
emoji), in the raw row and in a column, as Arrow, and as Parquet. So few large bodies are loaded at
once, and what a load has freed goes back to the system before the next load.
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

# Measured: 16 MiB of mails with emoji cost 420 MB, and each load has its price as well.
PORTION_BYTES = 16 << 20
# Smaller bodies cost less than their rows do, and a batch has few enough rows.
LARGE_BODY_BYTES = 4 << 10

_MMAP_THRESHOLD = -3  # the number of M_MMAP_THRESHOLD, see mallopt(3)
_MMAP_BYTES = 128 << 10


def prepare() -> None:
    """Have the allocators of this process keep little; call it before deltalake is imported.

    By default jemalloc, which is inside deltalake, keeps freed memory for 10 s, and the C library
    keeps the larger blocks for ever once blocks of their size were freed.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # musl has none
        libc.mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)


@contextmanager
def spared() -> Iterator[None]:
    """Keep the search for reference cycles out of a load, and return what the load has freed.

    Rows hold no cycles, and every search walks those made so far: a fifth of the CPU of a load.
    """
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
    """Cut a part of a batch into what is loaded at once.

    Args:
        records: Of the batch.
        part: Which of them.
        most_bytes: Of large bodies in a portion, unless a single one has more.
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
