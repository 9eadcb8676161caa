"""Socket activation: uses the listening socket of a service manager, such as a systemd `.socket`.

The service manager keeps the socket open during an upgrade of the receiver. Clients that connect
meanwhile wait in the kernel's queue and get no refused connection. See sd_listen_fds(3):
`LISTEN_PID` names the process, `LISTEN_FDS` is the number of descriptors, the first one is 3.
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
    """Return the socket that was passed to this process; None if there is none.

    Removes the variables from the environment.

    Raises:
        SettingsError: There is not exactly one socket, or it is not a listening TCP socket.
    """
    # Removed in any case, so that no child process applies them to itself.
    given = {name: environ.pop(name, "") for name in _VARIABLES}
    if given["LISTEN_PID"] != str(os.getpid()):
        return None
    if given["LISTEN_FDS"] != "1":
        raise SettingsError(
            f"LISTEN_FDS is {given['LISTEN_FDS'] or 'empty'}, but the receiver needs exactly one "
            "socket; give the .socket unit one ListenStream= line"
        )
    try:
        listener = socket.socket(fileno=_FIRST)
    except OSError as error:
        raise SettingsError(
            f"descriptor {_FIRST}, which LISTEN_FDS announces, is not a socket "
            f"({error.strerror}); start the receiver from a .socket unit, or unset LISTEN_FDS"
        ) from error
    listener.set_inheritable(False)
    is_usable = (
        listener.family in _FAMILIES
        and listener.type == socket.SOCK_STREAM
        and listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    )
    if not is_usable:
        listener.close()
        raise SettingsError(
            f"descriptor {_FIRST}, which LISTEN_FDS announces, is not a listening TCP socket; "
            "the .socket unit needs ListenStream= with a port, and Accept=no"
        )
    return listener
