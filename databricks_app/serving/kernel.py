"""What the kernel reports about the sockets of this process."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys

# Descriptors that are not connections: logs, metrics, segments, modules.
_OWN_FILES = 100
_NO_LIMIT = 1 << 20
# Offsets in `struct tcp_info` of linux/tcp.h: `tcpi_notsent_bytes` and `tcpi_data_segs_out`.
_NOT_SENT, _SEGMENTS_SENT = 144, 156


def share_of_files(processes: int) -> int:
    """Return how many connections each of `processes` processes may have open."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return _NO_LIMIT
    return max(1, (most - _OWN_FILES) // max(1, processes))


def is_answered(connection: socket.socket) -> bool:
    """Return whether anything was ever written to a connection; True if that is unknown."""
    with contextlib.suppress(OSError):
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        if len(info) >= _SEGMENTS_SENT + 4:  # an older kernel has a shorter struct
            return any(
                int.from_bytes(info[at : at + 4], sys.byteorder)
                for at in (_NOT_SENT, _SEGMENTS_SENT)
            )
    return True
