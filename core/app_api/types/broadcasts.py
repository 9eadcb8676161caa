"""Bodies and answers of `core.app_api.broadcasts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Required, TypeAlias, TypedDict

from core.app_api.types.filters import Filter
from core.http.responses import Json
from core.values import Data, Id


class Broadcast(TypedDict, total=False):
    """A broadcast; times are Unix seconds."""

    id: Required[int]
    deduplicate_id: str
    name: Required[str]
    type: str
    created: int
    updated: int
    active: bool
    state: str
    actions: list[dict[str, Json]]
    msg_template_ids: list[dict[str, Json]]
    first_started: int
    tags: list[str]


class BroadcastAnswer(TypedDict, total=False):
    """One broadcast."""

    broadcast: Required[Broadcast]


class BroadcastsAnswer(TypedDict, total=False):
    """All broadcasts."""

    broadcasts: Required[list[Broadcast]]


class Trigger(TypedDict, total=False):
    """A trigger; times are Unix seconds."""

    id: Required[int]
    broadcast_id: int
    created_at: int
    processed_at: int


class TriggersAnswer(TypedDict, total=False):
    """The past triggers of a broadcast."""

    triggers: Required[list[Trigger]]


class TriggeredAnswer(TypedDict, total=False):
    """The id of a new trigger."""

    id: Required[int]


class DefaultAudience(TypedDict, total=False):
    """A trigger for the audience that the broadcast has in Customer.io.

    Attributes:
        data: The object `trigger` in the Liquid of the broadcast; at most 50,000 bytes.
        id_ignore_missing: Whether to skip ids that do not exist, instead of failing.
        email_ignore_missing: The same for e-mail addresses.
        email_add_duplicates: Whether to send to all people with the address if there are several.
    """

    data: Data
    id_ignore_missing: bool
    email_ignore_missing: bool
    email_add_duplicates: bool


class ForFilter(DefaultAudience, total=False):
    """A trigger for the people who match a filter."""

    recipients: Required[Filter]


class ForIds(DefaultAudience, total=False):
    """A trigger for people by their ids, at most 10,000."""

    ids: Required[Sequence[Id]]


class ForEmails(DefaultAudience, total=False):
    """A trigger for people by their e-mail addresses, at most 10,000."""

    emails: Required[list[str]]


class DataOfId(TypedDict, total=False):
    """Data for a person by id."""

    id: Required[Id]
    data: Data


class DataOfEmail(TypedDict, total=False):
    """Data for a person by e-mail address."""

    email: Required[str]
    data: Data


class ForEach(DefaultAudience, total=False):
    """A trigger with separate data for each person, at most 10,000 people."""

    per_user_data: Required[list[DataOfId | DataOfEmail]]


class ForFile(DefaultAudience, total=False):
    """A trigger with data for each person from a file that the vendor fetches.

    Each line is the JSON of one person, as in `per_user_data`: at most 2 MB. The file has at most
    10 GB.
    """

    data_file_url: Required[str]


NewTrigger: TypeAlias = DefaultAudience | ForFilter | ForIds | ForEmails | ForEach | ForFile
