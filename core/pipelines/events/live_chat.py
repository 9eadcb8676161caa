"""Live chat events.

Source: https://docs.customer.io/integrations/data-in/semantic-events/live-chat/
"""

from __future__ import annotations

from typing import TypedDict

from core.pipelines.events.event import Event, Family


class Chat(TypedDict, total=False):
    """A conversation, its agent, and a message in it."""

    agent_id: str
    agent_name: str
    agent_username: str
    conversation_id: str
    conversation_duration: int
    message_id: str


class LiveChat(Family):
    """Live chat events."""

    __slots__ = ()

    conversation_started = Event("Live Chat Conversation Started", Chat)
    conversation_ended = Event("Live Chat Conversation Ended", Chat)
    message_sent = Event("Live Chat Message Sent", Chat)
    message_received = Event("Live Chat Message Received", Chat)
