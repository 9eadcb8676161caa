"""The nouns of the App API as attributes; each is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.app_api.messages import Messages
    from core.app_api.reporting_webhooks import ReportingWebhooks
    from core.app_api.segments import Segments
    from core.http import HttpClient


class Nouns:
    """One property a noun, in alphabetical order."""

    _http: HttpClient

    # Made anew each time: kept, they would hold the client in a reference cycle.
    @property
    def messages(self) -> Messages:
        """Deliveries of every campaign, newsletter and channel."""
        from core.app_api.messages import Messages

        return Messages(self._http)

    @property
    def reporting_webhooks(self) -> ReportingWebhooks:
        """Where Customer.io reports what becomes of its messages."""
        from core.app_api.reporting_webhooks import ReportingWebhooks

        return ReportingWebhooks(self._http)

    @property
    def segments(self) -> Segments:
        """Groups of people, kept by rules or by hand."""
        from core.app_api.segments import Segments

        return Segments(self._http)
