"""The people of the simulated workspace and their attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from databricks_app.simulator.events.sample_workspace import SimulatedPerson

if TYPE_CHECKING:
    from collections.abc import Iterator

IdType: TypeAlias = Literal["id", "email", "cio_id"]


@dataclass(slots=True)
class SimulatedActivity:
    """Something that a person did; `at` in Unix seconds."""

    id: str
    type: str
    at: float
    data: dict[str, Any]


@dataclass(slots=True)
class Profile:
    """A person.

    Attributes:
        cio_id: Customer.io's own id; it never changes.
        id: The workspace's id; None for people known only by e-mail address.
        attributes: All other attributes, with e-mail address and phone number.
        changed_at: When each attribute was last set, in Unix seconds.
        devices: The attributes of each device, by device token.
        objects: (type, id) of each related object.
        activities: What the person did, oldest first.
    """

    cio_id: str
    id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    changed_at: dict[str, int] = field(default_factory=dict)
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: list[tuple[int, str]] = field(default_factory=list)
    activities: list[SimulatedActivity] = field(default_factory=list)

    @property
    def email(self) -> str | None:
        """The e-mail address; None if the attribute is missing or is not text."""
        email = self.attributes.get("email")
        return email if isinstance(email, str) else None

    @property
    def is_unsubscribed(self) -> bool:
        """Whether the person is unsubscribed."""
        return str(self.attributes.get("unsubscribed", False)).lower() == "true"

    @property
    def identifiers(self) -> dict[str, str | None]:
        """The three identifiers that the App API shows."""
        return {"id": self.id, "email": self.email, "cio_id": self.cio_id}

    def value(self, name: str) -> Any:
        """Return an attribute or an identifier; None if the person does not have it."""
        return self.identifiers[name] if name in self.identifiers else self.attributes.get(name)

    def put(self, attributes: dict[str, Any], at: float) -> None:
        """Set attributes; an empty text or None removes the attribute."""
        for name, value in attributes.items():
            self.changed_at[name] = int(at)
            if value is None or value == "":
                self.attributes.pop(name, None)
            else:
                self.attributes[name] = value

    def as_person(self) -> SimulatedPerson:
        """Return the person as the events of a message need it."""
        devices = tuple((token, str(one.get("type", "ios"))) for token, one in self.devices.items())
        phone = str(self.attributes.get("phone") or "")
        return SimulatedPerson(self.id, self.email or "", self.cio_id, phone, devices)


class SimulatedPeople:
    """All people in the order of their creation, with an index for each identifier.

    Attributes:
        suppressed: Identifiers of suppressed people: calls about them have no effect.
    """

    def __init__(self) -> None:
        self._by_cio_id: dict[str, Profile] = {}
        self._by_id: dict[str, Profile] = {}
        self._by_email: dict[str, Profile] = {}
        self._count = 0
        self.suppressed: set[str] = set()

    def __len__(self) -> int:
        return len(self._by_cio_id)

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._by_cio_id.values())

    def find(self, text: str, id_type: IdType | None = None) -> Profile | None:
        """Find a person; without `id_type` by id, then by e-mail address, as the Pipelines API."""
        if id_type == "cio_id":
            # The App API accepts a cio_id with and without the prefix `cio_`.
            return self._by_cio_id.get(text.removeprefix("cio_"))
        if id_type == "email":
            return self._by_email.get(text.lower())
        found = self._by_id.get(text)
        if found is None and id_type is None:
            found = self._by_email.get(text.lower())
        return found

    def find_or_add(self, text: str) -> Profile:
        """Find a person by id or e-mail address, or add one with this identifier."""
        found = self.find(text)
        if found is not None:
            return found
        is_email = "@" in text
        self._count += 1
        profile = Profile(f"{self._count:012x}", None if is_email else text)
        if is_email:
            profile.attributes["email"] = text
        self._index(profile)
        return profile

    def identify(self, text: str, email: object) -> Profile:
        """Find or add a person, as `find_or_add`, but join an id and an e-mail address.

        A person known only by e-mail address gets the id that is sent with the same address.
        """
        if self.find(text) is None and isinstance(email, str) and "@" not in text:
            known = self._by_email.get(email.lower())
            if known is not None and known.id is None:
                known.id = text
                self._index(known)
        return self.find_or_add(text)

    def add(self, person: SimulatedPerson, attributes: dict[str, Any], at: float) -> Profile:
        """Add a made-up person with these additional attributes."""
        profile = Profile(person.cio_id, person.id)
        profile.put({"email": person.email, "phone": person.phone, **attributes}, at)
        profile.devices = {token: {"type": platform} for token, platform in person.devices}
        self._index(profile)
        return profile

    def put(self, profile: Profile, attributes: dict[str, Any], at: float) -> None:
        """Set attributes of a person, and update the indexes."""
        self._unindex_email(profile)
        profile.put(attributes, at)
        self._index(profile)

    def remove(self, profile: Profile) -> None:
        """Delete a person."""
        self._by_cio_id.pop(profile.cio_id, None)
        self._unindex_email(profile)
        if profile.id is not None:
            self._by_id.pop(profile.id, None)

    def _index(self, profile: Profile) -> None:
        self._by_cio_id[profile.cio_id] = profile
        if profile.id is not None:
            self._by_id[profile.id] = profile
        if profile.email:
            self._by_email[profile.email.lower()] = profile

    def _unindex_email(self, profile: Profile) -> None:
        # The address may lead to another person who got the same one later.
        if profile.email and self._by_email.get(profile.email.lower()) is profile:
            del self._by_email[profile.email.lower()]
