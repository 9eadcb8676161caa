"""The A/B test event.

Source: https://docs.customer.io/integrations/data-in/semantic-events/a-b-test/
"""

from __future__ import annotations

from typing import TypedDict

from core.pipelines.events.event import Event, Family


class Experiment(TypedDict, total=False):
    """The variation that was shown."""

    # The vendor's schema says `variation`, not `variant`.

    experiment_id: str
    experiment_name: str
    variation_id: str
    variation_name: str


class AbTest(Family):
    """A/B tests."""

    __slots__ = ()

    experiment_viewed = Event("Experiment Viewed", Experiment)
