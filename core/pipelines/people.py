"""People: create, update, unsubscribe, delete and suppress (GDPR).

Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from core.pipelines.validation import checked_id

if TYPE_CHECKING:
    from core.pipelines.calls import Calls
    from core.pipelines.items import Fields, Options
    from core.values import Id


class People:
    """People. `calls` is a client or a queue.

    `user_id` is the id of the person, or an e-mail address if the workspace allows it. Each method
    returns the message id, and raises `ValidationError` before anything is sent.
    """

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(self, user_id: Id, traits: Fields | None = None, **options: Unpack[Options]) -> str:
        """Create or update a person; other traits stay as they are.

        For a person without an id, use `identify` with `anonymous_id`.
        """
        user_id = checked_id(user_id, "user_id")
        return self._calls.identify(user_id, traits, **options)

    update = create  # one call of the vendor does both

    def unsubscribe(self, user_id: Id, **options: Unpack[Options]) -> str:
        """Stop messages that require a subscription; the profile stays."""
        return self.create(user_id, {"unsubscribed": True}, **options)

    def resubscribe(self, user_id: Id, **options: Unpack[Options]) -> str:
        """Reverse `unsubscribe`."""
        return self.create(user_id, {"unsubscribed": False}, **options)

    def delete(self, user_id: Id, **options: Unpack[Options]) -> str:
        """Delete a person; a later call with the same id creates a new one.

        Event: User Deleted
        """
        return self._send("User Deleted", user_id, options)

    def suppress(self, user_id: Id, **options: Unpack[Options]) -> str:
        """Delete a person, and ignore all later data with this id.

        Event: User Suppressed
        """
        return self._send("User Suppressed", user_id, options)

    def unsuppress(self, user_id: Id, **options: Unpack[Options]) -> str:
        """Accept data with this id again; the deleted profile is not restored.

        Event: User Unsuppressed
        """
        return self._send("User Unsuppressed", user_id, options)

    def _send(self, event: str, user_id: Id, options: Options) -> str:
        user_id = checked_id(user_id, "user_id")
        return self._calls.track(user_id, event=event, **options)
