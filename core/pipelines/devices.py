"""Devices of people, for push messages.

Source: https://docs.customer.io/integrations/data-in/semantic-events/cio-journeys/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, Unpack, get_args

from core.errors import ValidationError
from core.pipelines.validation import check_fields, check_text, checked_id

if TYPE_CHECKING:
    from core.pipelines.calls import Calls
    from core.pipelines.items import Fields, Options
    from core.values import Id

Platform: TypeAlias = Literal["ios", "android"]


class Devices:
    """Devices of people. `calls` is a client or a queue."""

    __slots__ = ("_calls",)

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def register(
        self,
        user_id: Id,
        token: str,
        *,
        type: Platform | None = None,
        attributes: Fields | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Add a device to a person, or update it.

        Args:
            user_id: The person who has the device.
            token: The id of the device at the push service.
            type: The platform.
            attributes: Other properties of the device.
            options: As for every call; `context["device"]` is added here.

        Event: Device Created or Updated
        """
        return self._send("Device Created or Updated", user_id, token, type, attributes, options)

    def delete(
        self,
        user_id: Id,
        token: str,
        *,
        type: Platform | None = None,
        **options: Unpack[Options],
    ) -> str:
        """Remove a device from a person.

        Event: Device Deleted
        """
        return self._send("Device Deleted", user_id, token, type, None, options)

    def _send(
        self,
        event: str,
        user_id: Id,
        token: str,
        type_: Platform | None,
        attributes: Fields | None,
        options: Options,
    ) -> str:
        # The vendor reads the device from the context, not from the properties.
        user_id = checked_id(user_id, "user_id")
        device = _device(token, type_, {} if attributes is None else attributes)
        given = options.get("context")
        context = {} if given is None else given
        check_fields(context, "context")
        if "device" in context:
            raise ValidationError(
                "must be absent: use the arguments token, type and attributes",
                field="context.device",
            )
        whole: Options = {**options, "context": {**context, "device": device}}
        return self._calls.track(user_id, event=event, **whole)


def _device(token: str, type_: Platform | None, attributes: Fields) -> dict[str, object]:
    check_text(token, "token")
    if type_ is not None and type_ not in get_args(Platform):
        raise ValidationError(f"must be one of {', '.join(get_args(Platform))}", field="type")
    check_fields(attributes, "attributes")
    for name in ("token", "type"):
        if name in attributes:
            raise ValidationError(
                f"must be absent: use the argument {name}", field=f"attributes.{name}"
            )
    device: dict[str, object] = {"token": token}
    if type_ is not None:
        device["type"] = type_
    return device | dict(attributes)
