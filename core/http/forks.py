"""Tell objects with locks, threads or sockets that they are in a forked child now.

One hook for the process, registered with the first object: Python cannot take hooks back, and
objects are held weakly.
"""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import Protocol


class Forked(Protocol):
    """Something that must begin anew in a forked child."""

    def after_fork(self) -> None:
        """Drop what belongs to the parent; runs in the child before anything else."""


_watched: weakref.WeakSet[Forked] = weakref.WeakSet()


def watch(watched: Forked) -> None:
    """Call `after_fork` of this object in every child that is forked while it lives."""
    _register()
    _watched.add(watched)


@cache
def _register() -> None:
    os.register_at_fork(after_in_child=_tell)


def _tell() -> None:
    for watched in list(_watched):
        watched.after_fork()
