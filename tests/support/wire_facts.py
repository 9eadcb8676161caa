"""What official clients and the vendor's documents say about the wire, one row for each fact.

Where a document and both official clients differ, this table follows the clients. Some facts are
types only, so tests/docs/test_types.py gives this file to a type checker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.app_api import AppClient
from core.app_api.noun import File
from core.app_api.types.esp_suppression import Reason
from core.app_api.types.objects import ByObjectAttribute

NODE = "customerio-node 5.2.0"
GO = "go-customerio v3"
DOCUMENT = "https://docs.customer.io/integrations/api/app/"


@dataclass(frozen=True, slots=True)
class WireFact:
    """A call, and what must arrive.

    Attributes:
        name: What the fact is about.
        source: Who says so.
        call: The call.
        target: Path and query.
        body: The decoded JSON body.
        headers: Headers that must be there.
        part: Bytes that the body must contain.
    """

    name: str
    source: str
    call: Callable[[AppClient], object]
    target: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    part: bytes = b""


def _nested(app: AppClient) -> object:
    return list(
        app.objects.search(
            {
                "object_type_id": 1,
                "filter": {
                    "or": [
                        {"not": _condition()},
                        {"and": [_condition(), {"or": [_condition()]}]},
                    ]
                },
            }
        )
    )


def _condition() -> ByObjectAttribute:
    return {"object_attribute": {"type_id": 1, "field": "plan", "operator": "exists"}}


def _suppressing(kind: Reason) -> WireFact:
    return WireFact(
        f"ESP suppression of {kind}",
        f"{NODE}, {GO}",
        lambda app: app.esp_suppression.create(kind, "ada@example.com"),
        f"/v1/esp/suppression/{kind}/ada%40example.com",
    )


def _uploading(name: str, media_type: str) -> WireFact:
    return WireFact(
        f"media type of {name}",
        f"{NODE} (comment: octet-stream is rejected), {GO} (test)",
        lambda app: app.assets.create(File(name, b"bytes")),
        "/v1/assets/files",
        part=f"Content-Type: {media_type}\r\n".encode(),
    )


FACTS = [
    WireFact(
        "journey metrics take `resolution`",
        f"{NODE} (changed from `res`), {GO}; the document says `res`",
        lambda app: app.campaigns.journey_metrics(7, start=1, end=2, resolution="days"),
        "/v1/campaigns/7/journey_metrics?start=1&end=2&resolution=days",
    ),
    WireFact(
        "link metrics of broadcast actions take `unique`",
        f"{NODE}, {GO}",
        lambda app: app.broadcast_actions.link_metrics(7, 8, unique=True),
        "/v1/broadcasts/7/actions/8/metrics/links?unique=true",
    ),
    WireFact(
        "link metrics of campaign actions take `unique`",
        f"{NODE}, {GO}",
        lambda app: app.campaign_actions.link_metrics(7, 8, unique=True),
        "/v1/campaigns/7/actions/8/metrics/links?unique=true",
    ),
    WireFact(
        "link metrics of newsletter contents take `unique`",
        f"{NODE}, {GO}",
        lambda app: app.newsletter_contents.link_metrics(7, 8, unique=True),
        "/v1/newsletters/7/contents/8/metrics/links?unique=true",
    ),
    WireFact(
        "the channel of metrics may be `whatsapp`",
        NODE,
        lambda app: app.newsletters.metrics(7, type="whatsapp"),
        "/v1/newsletters/7/metrics?type=whatsapp",
    ),
    WireFact(
        "object filters nest, and `type_id` is a number",
        GO,
        _nested,
        "/v1/objects",
        body={
            "object_type_id": 1,
            "filter": {
                "or": [{"not": _condition()}, {"and": [_condition(), {"or": [_condition()]}]}]
            },
        },
    ),
    WireFact(
        "`recipient` of a newsletter content",
        DOCUMENT,
        lambda app: app.newsletter_contents.update(7, 8, {"recipient": "{{customer.email}}"}),
        "/v1/newsletters/7/contents/8",
        body={"recipient": "{{customer.email}}"},
    ),
    WireFact(
        "`recipient` of a newsletter language",
        DOCUMENT,
        lambda app: app.newsletter_languages.update(7, "de", {"recipient": "a"}),
        "/v1/newsletters/7/language/de",
        body={"recipient": "a"},
    ),
    WireFact(
        "`recipient` of a language of a test group",
        DOCUMENT,
        lambda app: app.newsletter_test_groups.update_language(7, 8, "de", {"recipient": "a"}),
        "/v1/newsletters/7/test_group/8/language/de",
        body={"recipient": "a"},
    ),
    WireFact(
        "the language of subscription preferences is a header",
        DOCUMENT,
        lambda app: app.customers.subscription_preferences("u", language="es-ES"),
        "/v1/customers/u/subscription_preferences?language=es-ES",
        headers={"accept-language": "es-ES"},
    ),
    _suppressing("blocks"),
    _suppressing("bounces"),
    _suppressing("spam_reports"),
    _suppressing("invalid_emails"),
    _uploading("a.png", "image/png"),
    _uploading("a.PDF", "application/pdf"),
    _uploading("a.jpeg", "image/jpeg"),
]
