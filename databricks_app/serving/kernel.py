"""What the kernel tells of this process's sockets."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys

_OWN_FILES = 100
_NO_LIMIT = 1 << 20
# In `struct tcp_info` of linux/tcp.h: bytes not sent yet, and segments with data that were sent.
_NOT_SENT, _SEGMENTS_SENT = 144, 156


def share_of_files(processes: int) -> int:
    """Return how many connections one of so many processes may have open."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return _NO_LIMIT
    return max(1, (most - _OWN_FILES) // max(1, processes))


def is_answered(connection: socket.socket) -> bool:
    """Whether anything was ever written to a connection; also if the kernel does not tell."""
    with contextlib.suppress(OSError):
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        if len(told) >= _SEGMENTS_SENT + 4:
            return any(
                int.from_bytes(told[at : at + 4], sys.byteorder)
                for at in (_NOT_SENT, _SEGMENTS_SENT)
            )
    return True
