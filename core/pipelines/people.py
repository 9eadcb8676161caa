"""People: create, update, subscribe, and what the GDPR asks for.

Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.pipelines.validation import check_text

if TYPE_CHECKING:
    from core.pipelines.calls import Calls
    from core.pipelines.items import Fields, Options


class People:
    """People, sent through whatever takes calls.

    A `user_id` is the person's id or, where the workspace allows it, an e-mail address. Each
    method returns the message id, and raises `ValidationError` before anything is sent.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(self, user_id: str, traits: Fields | None = None, **options: Unpack[Options]) -> str:
        """Create a person, or update the one that has this id; traits not named stay.

        For a person not yet known, `identify` takes an `anonymous_id`.
        """
        check_text(user_id, "user_id")
        return self._calls.identify(user_id, traits, **options)

    update = create  # the vendor knows no difference, a reader looks for either

    def unsubscribe(self, user_id: str, **options: Unpack[Options]) -> str:
        """Send the person no more messages that respect subscriptions; the profile stays."""
        return self.create(user_id, {"unsubscribed": True}, **options)

    def resubscribe(self, user_id: str, **options: Unpack[Options]) -> str:
        """Undo `unsubscribe`."""
        return self.create(user_id, {"unsubscribed": False}, **options)

    def delete(self, user_id: str, **options: Unpack[Options]) -> str:
        """Delete a person; a later call with the same id creates a new one.

        Event: User Deleted
        """
        return self._send("User Deleted", user_id, options)

    def suppress(self, user_id: str, **options: Unpack[Options]) -> str:
        """Delete a person, and ignore whatever is sent under this id from now on.

        Event: User Suppressed
        """
        return self._send("User Suppressed", user_id, options)

    def unsuppress(self, user_id: str, **options: Unpack[Options]) -> str:
        """Take this id in again; the deleted profile does not come back.

        Event: User Unsuppressed
        """
        return self._send("User Unsuppressed", user_id, options)

    def _send(self, event: str, user_id: str, options: Options) -> str:
        check_text(user_id, "user_id")
        return self._calls.track(user_id, event=event, **options)
