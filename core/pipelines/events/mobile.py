"""Life cycle events of a mobile app.

Source: https://docs.customer.io/integrations/data-in/semantic-events/getting-started/
"""

from __future__ import annotations

from typing import TypedDict

from core.pipelines.events.event import Event, Family


class Nothing(TypedDict, total=False):
    """The vendor declares no properties."""


class Release(TypedDict, total=False):
    """A version of the app."""

    version: str
    build: str


class Opening(Release, total=False):
    """How the app was opened."""

    from_background: bool
    url: str


class Update(Release, total=False):
    """An update from a previous version."""

    previous_version: str
    previous_build: str


class Mobile(Family):
    """Life cycle events of a mobile app."""

    __slots__ = ()

    installed = Event("Application Installed", Release)
    opened = Event("Application Opened", Opening)
    backgrounded = Event("Application Backgrounded", Nothing)
    foregrounded = Event("Application Foregrounded", Nothing)
    updated = Event("Application Updated", Update)
    uninstalled = Event("Application Uninstalled", Nothing)
    crashed = Event("Application Crashed", Nothing)
