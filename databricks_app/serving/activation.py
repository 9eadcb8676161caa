"""The listening socket that a service manager hands over, as systemd does for a `.socket` unit.

The service manager keeps the socket open while the receiver is replaced, so that an upgrade shows
no client a refused connection: who connects meanwhile waits in the kernel's queue. The protocol is
that of sd_listen_fds(3): `LISTEN_PID` names the process that is meant, `LISTEN_FDS` says how many
descriptors there are, and the first is number 3.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from databricks_app.errors import SettingsError

_FIRST = 3
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_VARIABLES = ("LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")


def inherited_listener(environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """Return the socket that was handed to this process; None if none was.

    The variables are removed, so that no child takes them for its own, and no child inherits the
    descriptor unless it is passed on.

    Raises:
        SettingsError: There is not exactly one, or it is not a TCP socket that listens.
    """
    given = {name: environ.pop(name, "") for name in _VARIABLES}
    if given["LISTEN_PID"] != str(os.getpid()):
        return None
    if given["LISTEN_FDS"] != "1":
        raise SettingsError(
            f"LISTEN_FDS says {given['LISTEN_FDS'] or 'nothing'}, and exactly one socket is "
            "needed; give the .socket unit one ListenStream= line"
        )
    try:
        listener = socket.socket(fileno=_FIRST)
    except OSError as error:
        raise SettingsError(
            f"descriptor {_FIRST}, which LISTEN_FDS announces, is no socket ({error.strerror}); "
            "start the receiver from a .socket unit, or unset LISTEN_FDS"
        ) from error
    listener.set_inheritable(False)
    if not _is_usable(listener):
        listener.close()
        raise SettingsError(
            f"descriptor {_FIRST}, which LISTEN_FDS announces, is no TCP socket that listens; the "
            ".socket unit needs ListenStream= with a port, and Accept=no"
        )
    return listener


def _is_usable(listener: socket.socket) -> bool:
    return (
        listener.family in _FAMILIES
        and listener.type == socket.SOCK_STREAM
        and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    )
