"""Reset objects that have locks, threads or sockets in a forked child process."""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import Protocol


class Forked(Protocol):
    """An object that must be reset in a forked child."""

    def after_fork(self) -> None:
        """Drop what belongs to the parent. Runs in the child, before any other code."""


_watched: weakref.WeakSet[Forked] = weakref.WeakSet()


def watch(watched: Forked) -> None:
    """Call `after_fork` of this object in every child that is forked while the object exists."""
    _register_hook()
    _watched.add(watched)


# One hook for all objects: Python cannot unregister a hook, and a hook for each object would keep
# the object alive.
@cache
def _register_hook() -> None:
    def reset_all() -> None:
        for watched in list(_watched):
            watched.after_fork()

    os.register_at_fork(after_in_child=reset_all)
