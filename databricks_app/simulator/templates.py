"""The transactional messages of the simulated workspace, at least one for each channel.

Pure. The messages of `events.sample_workspace` come first; the others add the missing channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from databricks_app.simulator.events.sample_workspace import SOURCES, SimulatedMessage, Source

_NOTICE = (SimulatedMessage("in_app", "Your import is ready", opens=0.7, clicks=0.3),)
_INBOX = (SimulatedMessage("in_app", "A message waits for you", opens=0.6, clicks=0.2),)
_TICKET = (SimulatedMessage("whatsapp", "Your ticket", opens=0.9, clicks=0.3),)
_TRANSACTIONAL = (
    *((source, None) for source in SOURCES if source.origin == "transactional"),
    (Source("transactional", 405, _NOTICE, 0), None),
    # The vendor does not publish how inbox messages are reported; here they are `in_app` events.
    (Source("transactional", 406, _INBOX, 0), "inbox_message"),
    (Source("transactional", 407, _TICKET, 0), None),
)


@dataclass(frozen=True, slots=True)
class Template:
    """A transactional message.

    Attributes:
        id: Its number.
        trigger_name: A name that a send may use instead of the id; case does not matter.
        channel: The send that it is for: an object type, or `inbox_message`.
        source: The source of its events.
        message: The message that is sent.
    """

    id: int
    trigger_name: str
    channel: str
    source: Source
    message: SimulatedMessage

    @property
    def name(self) -> str:
        """Its display name."""
        return self.message.subject


TEMPLATES = tuple(
    Template(
        number,
        source.id if isinstance(source.id, str) else f"message_{number}",
        channel or source.messages[0].channel,
        source,
        source.messages[0],
    )
    for number, (source, channel) in enumerate(_TRANSACTIONAL, 401)
)
# An e-mail that is sent with its own content has no template.
INLINE = Source("transactional", 0, (SimulatedMessage("email", ""),), 0)


def find(reference: object) -> Template | None:
    """Find a template by its number or its trigger name."""
    text = str(reference).lower()
    return next((one for one in TEMPLATES if text in {str(one.id), one.trigger_name}), None)
