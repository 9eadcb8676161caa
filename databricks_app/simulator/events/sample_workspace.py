"""A made-up workspace: its people, and the messages that they get.

Pure: no clock, no I/O; all randomness comes from the `Random` that is passed in. Every address is
in a domain reserved for examples (RFC 2606), every phone number in a range reserved for fiction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from random import Random

    from core.webhooks.specification import Origin

Mailbox = Literal["proxy", "prefetch", "plain", "scanner"]

# The kinds of mailbox. `proxy` loads images for the reader, so every human open is marked as
# proxied (Gmail does this). `prefetch` loads the images of all mail, read or not (Apple Mail does
# this). `scanner` is a company's security software that follows every link.
MAILBOXES: dict[str, Mailbox] = {
    "mail.example.com": "proxy",
    "cloud.example.net": "prefetch",
    "post.example.org": "plain",
    "office.example.com": "scanner",
}
_MAILBOX_SHARES = (42, 28, 20, 10)
_FIRST_NAMES = (  # noqa: SIM905  # a list of quoted names would need fifty lines
    "ada alan anita barbara dennis edsger fatima frances grace hedy ivan jean joan katherine ken "
    "lin margaret mary niklaus radia shafi tim vint wei yuki zainab"
).split()
_LAST_NAMES = (  # noqa: SIM905  # the same
    "adeyemi bauer chen costa dubois evans fischer garcia haddad ito jensen khan kovacs lopez "
    "moreau nakamura novak okafor patel rossi sato silva svensson walker yilmaz zhang"
).split()


@dataclass(frozen=True, slots=True)
class SimulatedPerson:
    """A person who gets messages.

    Attributes:
        id: The workspace's own id; None for people known only by e-mail address.
        email: E-mail address; empty if there is none. `make_person` uses domains of `MAILBOXES`.
        cio_id: Customer.io's permanent id.
        phone: Phone number in international form.
        devices: (device token, platform) of each device that gets push messages.
    """

    id: str | None
    email: str
    cio_id: str
    phone: str
    devices: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SimulatedMessage:
    """One message of a source, and how people react to it.

    Attributes:
        channel: The object type of its events.
        subject: Subject of an e-mail, first line of any other message.
        actions: Ids of the workflow steps that send it; several are the variants of an A/B test.
        parent_action: Id of the step that contains these variants.
        variants: Number of variants (`content_id`) of a newsletter.
        links: Targets of its tracked links; `link_id` is the position in this list, from 1.
        opens: Share of delivered messages that a person opens.
        clicks: Share of opened messages with a click.
        converts: Share of clicked messages with a conversion.
        harm: Factor on the rates of bounces, complaints and unsubscribes; 1 is usual.
        to: The recipient, if it is not a person: a Slack channel or a URL.
    """

    channel: str
    subject: str
    actions: tuple[int, ...] = ()
    parent_action: int | None = None
    variants: int = 1
    links: tuple[str, ...] = ("https://www.example.com/start",)
    opens: float = 0.4
    clicks: float = 0.2
    converts: float = 0.2
    harm: float = 1.0
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A campaign, newsletter, broadcast or transactional message.

    Attributes:
        origin: What it is; this decides the fields of its events.
        id: Its id; the ids of a newsletter's weekly editions are derived from it.
        messages: Its messages in the order in which a person gets them, about a day apart.
        weight: How often it starts, relative to the other sources.
        hour_of_week: The UTC hour in which it is sent, 0 is Monday 00:00; None: at all hours.
    """

    origin: Origin
    id: int | str
    messages: tuple[SimulatedMessage, ...]
    weight: float
    hour_of_week: int | None = None


_SHOP = (
    "https://shop.example.com/sale",
    "https://shop.example.com/new",
    "https://shop.example.com/",
)
_ONBOARDING = (
    SimulatedMessage("email", "Welcome to Example", (1001,), opens=0.58, clicks=0.34, converts=0.4),
    SimulatedMessage("push", "Finish your profile", (1002,), opens=0.16, clicks=0.5, converts=0.3),
    SimulatedMessage(
        "email",
        "Three things to try first",
        (1004, 1005),
        parent_action=1003,
        links=("https://www.example.com/tour", "https://www.example.com/help"),
        opens=0.44,
        clicks=0.25,
    ),
    SimulatedMessage("in_app", "You are all set", (1006,), opens=0.7, clicks=0.3),
)
_CART = (
    SimulatedMessage(
        "email", "You left something behind", (1011,), opens=0.46, clicks=0.32, converts=0.35
    ),
    SimulatedMessage("sms", "Your cart is waiting", (1012,), opens=0.5, clicks=0.3, converts=0.25),
)
_WIN_BACK = (
    SimulatedMessage(
        "email", "We miss you", (1021,), opens=0.13, clicks=0.06, converts=0.05, harm=4.0
    ),
)
_RENEWAL = (
    SimulatedMessage(
        "email", "Your plan renews soon", (1031,), opens=0.52, clicks=0.18, converts=0.5
    ),
    SimulatedMessage("whatsapp", "Your plan renews tomorrow", (1032,), opens=0.75, clicks=0.2),
)
_SURVEY = (
    SimulatedMessage("in_app", "How are we doing?", (1041,), opens=0.6, clicks=0.25),
    SimulatedMessage("sms", "How was your order? Reply 1 to 5", (1042,), opens=0.5, clicks=0.05),
)
_ALERT = (
    SimulatedMessage("slack", "A trial became a customer", (1051,), converts=0.0, to="#sales"),
)
_SYNC = (
    SimulatedMessage(
        "webhook",
        "Update the contact",
        (1061,),
        opens=0.0,
        harm=3.0,
        to="https://crm.example.com/hooks/contacts",
    ),
)
_DIGEST = (
    SimulatedMessage(
        "email", "Your monthly digest", variants=2, links=_SHOP, opens=0.31, clicks=0.12
    ),
)
_NEWS = (SimulatedMessage("email", "What is new at Example", variants=3, opens=0.27, clicks=0.16),)
_TEASER = (SimulatedMessage("push", "Tap to see what is new", opens=0.08, clicks=0.4),)
_SALE = (
    SimulatedMessage(
        "email", "24 hours only", (1071,), links=_SHOP, opens=0.35, clicks=0.3, converts=0.2
    ),
)
_NOTICE = (SimulatedMessage("whatsapp", "Maintenance tonight", (1081,), opens=0.8, clicks=0.04),)
_RECEIPT = (SimulatedMessage("email", "Your receipt", opens=0.72, clicks=0.1, harm=0.2),)
_RESET = (
    SimulatedMessage(
        "email", "Reset your password", opens=0.83, clicks=0.9, converts=0.9, harm=0.1
    ),
)
_SHIPPED = (SimulatedMessage("push", "Your order is on its way", opens=0.35, clicks=0.6),)
_CODE = (SimulatedMessage("sms", "Your code", opens=0.9, clicks=0.0, harm=0.3),)

SOURCES: tuple[Source, ...] = (
    Source("campaign", 101, _ONBOARDING, 8),
    Source("campaign", 102, _CART, 9),
    Source("campaign", 103, _WIN_BACK, 5),
    Source("campaign", 104, _RENEWAL, 4),
    Source("campaign", 105, _SURVEY, 3),
    Source("campaign", 106, _ALERT, 2),
    Source("campaign", 107, _SYNC, 3),
    Source("newsletter", 21, _DIGEST, 1500, hour_of_week=24 + 9),
    Source("newsletter", 22, _NEWS, 1200, hour_of_week=72 + 15),
    Source("newsletter", 23, _TEASER, 400, hour_of_week=48 + 17),
    Source("broadcast", 301, _SALE, 900, hour_of_week=96 + 11),
    Source("broadcast", 302, _NOTICE, 250, hour_of_week=16),
    Source("transactional", 401, _RECEIPT, 9),
    Source("transactional", "password_reset", _RESET, 3),
    Source("transactional", 403, _SHIPPED, 4),
    Source("transactional", 404, _CODE, 3),
)


def make_person(random: Random, number: int) -> SimulatedPerson:
    """Make a person; people with different numbers have different ids and addresses."""
    first, last = random.choice(_FIRST_NAMES), random.choice(_LAST_NAMES)
    domain = random.choices(tuple(MAILBOXES), _MAILBOX_SHARES)[0]
    devices = tuple(
        (f"{random.getrandbits(128):032x}", random.choice(("ios", "android")))
        for _ in range(random.choice((1, 1, 1, 2)))
    )
    return SimulatedPerson(
        id=None if random.random() < 0.02 else str(10_000 + number),
        email=f"{first}.{last}.{number}@{domain}",
        cio_id=f"{random.getrandbits(24):06x}{number:06x}",
        phone=f"+1{random.randrange(201, 1000)}55501{random.randrange(100):02d}",
        devices=devices,
    )


def mailbox(person: SimulatedPerson) -> Mailbox:
    """Return the kind of the person's mailbox; an unknown domain has a plain one."""
    return MAILBOXES.get(person.email.rpartition("@")[2], "plain")
