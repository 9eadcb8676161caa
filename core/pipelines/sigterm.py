"""Close a queue when the process gets SIGTERM, before the process ends.

By default SIGTERM ends a Python process at once: no `finally` and no `atexit` runs, so the items of
a queue would be lost silently.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def close_on_sigterm(close: Callable[[], object]) -> None:
    """Call `close` on SIGTERM, then do what SIGTERM did before.

    Args:
        close: Closes the queue; must return within the time that the process is given to end.

    Raises:
        ConfigurationError: Called outside the main thread, where Python allows no handler.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ConfigurationError("flush_on_sigterm: create the queue in the main thread")
    handler = _Handler(close)
    handler.install()


class _Handler:
    """Handles the first SIGTERM in a thread, and passes the second one on."""

    def __init__(self, close: Callable[[], object]) -> None:
        self._close = close
        self._previous: Callable[[int, FrameType | None], object] | int | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def install(self) -> None:
        """Replace the handler of SIGTERM."""
        self._previous = signal.signal(signal.SIGTERM, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._is_closed:
            self._pass_on(number, frame)
        elif self._thread is None:
            # Not here: the signal may have interrupted a call of the queue, which holds its lock
            # until this handler returns. Not a daemon: the interpreter waits for it.
            self._thread = threading.Thread(target=self._run, name="pipelines-queue-sigterm")
            self._thread.start()

    def _run(self) -> None:
        try:
            self._close()
        finally:
            self._is_closed = True
            # Python runs handlers in the main thread only.
            os.kill(os.getpid(), signal.SIGTERM)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        previous = self._previous
        if callable(previous):
            signal.signal(signal.SIGTERM, previous)
            previous(number, frame)
        elif previous != signal.SIG_IGN:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), number)
