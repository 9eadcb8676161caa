"""Texts of made-up messages: rendered content, and the failure messages of providers.

Pure. Real failure messages may contain personal data such as an address; these do not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_PARAGRAPH = (
    "<p>Hello, thank you for being with us. Here is what happened since we last wrote, "
    "what is planned next, and how to tell us what you think of it.</p>"
)

# By metric, then by object type; `*` is any other. Reply codes are from RFC 5321 and RFC 3463.
_FAILURES: dict[str, dict[str, tuple[str, ...]]] = {
    "bounced": {
        "email": (
            "550 5.1.1 The email account that you tried to reach does not exist",
            "550 5.1.1 User unknown",
            "552 5.2.2 Mailbox full",
            "550 5.7.1 Message rejected due to content restrictions",
            "550 5.7.515 Access denied, sending domain does not meet the required "
            "authentication level",
            "421 4.7.0 Try again later, closing connection",
        ),
        "push": ("Unregistered", "BadDeviceToken"),
        "*": ("30003: Unreachable destination handset", "30005: Unknown destination handset"),
    },
    "dropped": {
        "push": ("Suppressed: the device token bounced before",),
        "*": ("Suppressed: the recipient is on the suppression list",),
    },
    "deferred": {"*": ("451 4.7.1 Greylisted, please try again", "421 4.3.2 Server is busy")},
    "attempted": {
        "slack": ("429 rate limited",),
        "webhook": ("503 Service Unavailable", "Timed out after 10 s"),
        "*": ("The provider answered 500, will try again", "Connection to the provider timed out"),
    },
    "failed": {
        "slack": ("channel_not_found", "account_inactive"),
        "webhook": ("404 Not Found", "410 Gone", "TLS certificate has expired"),
        "*": ("Liquid rendering error: undefined variable", "The provider refused the message"),
    },
    "undeliverable": {"*": ("Message limit reached", "The person is unsubscribed")},
}
_FAILURES_OTHERWISE = {"*": ("Unknown failure",)}


def failure(object_type: str, metric: str, random: Random) -> str:
    """Return a failure message as the channel's provider would write it."""
    by_type = _FAILURES.get(metric, _FAILURES_OTHERWISE)
    return random.choice(by_type.get(object_type, by_type["*"]))


def content(object_type: str, subject: str, random: Random) -> str:
    """Return the rendered message: HTML for e-mail, JSON for push, in-app, webhook, else text."""
    if object_type == "email":
        body = _PARAGRAPH * random.randrange(8, 24)
        return f"<!doctype html><html><body><h1>{subject}</h1>{body}</body></html>"
    if object_type == "push":
        alert = {"title": subject, "body": "Tap to read more"}
        return json.dumps({"message": {"notification": alert}})
    if object_type in {"in_app", "webhook"}:
        return json.dumps({"text": subject, "reference": random.getrandbits(31)})
    return f"{subject}. https://www.example.com/r/{random.getrandbits(32):08x}"


def preferences(random: Random) -> str:
    """Return changed subscription preferences; Customer.io sends them as JSON in a string."""
    topics = {f"topic_{number}": random.random() < 0.5 for number in random.sample(range(1, 6), 2)}
    return json.dumps({"topics": topics})
