"""URLs: fill ids into a path, append a query, check the URL of a download. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, urlsplit

from core.errors import ValidationError
from core.values import Id, id_text, kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Scalar: TypeAlias = str | int | float | bool
Query: TypeAlias = "Mapping[str, Scalar | Sequence[Scalar] | None]"


def address(base_url: str, template: str, path: Mapping[str, Id], query: Query) -> str:
    """Fill ids into a path and append a query; everything is percent-encoded.

    Raises:
        ValidationError: An id is missing, blank or no id, or would change the path.
    """
    filled = template
    for name in re.findall(r"\{(\w+)\}", template):
        # A blank id would call another operation, and servers resolve `.` and `..` in a path.
        value = id_text(path.get(name, ""))
        # A data frame turns whole numbers beside missing ones into floats: 7.0, nan.
        if not isinstance(value, str):
            raise ValidationError(f"must be text or a whole number, is {kind(value)}", field=name)
        if not value.strip() or value in (".", ".."):
            raise ValidationError("must be a non-blank id", field=name)
        filled = filled.replace(f"{{{name}}}", _quoted(value, name))
    pairs = []
    for name, values in query.items():
        if values is None:
            continue
        for item in [values] if isinstance(values, str | int | float) else values:
            text = str(item).lower() if isinstance(item, bool) else str(item)  # true, not True
            pairs.append(f"{quote(name, safe='')}={_quoted(text, name)}")
    return base_url + filled + (f"?{'&'.join(pairs)}" if pairs else "")


def _quoted(value: str, field: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise ValidationError("contains a lone surrogate", field=field) from error


def checked_download(url: str, base_url: str) -> str:
    """Return the URL if it may be downloaded: https, or http if `base_url` is http.

    Raises:
        ValidationError: It may not. The text does not contain the URL, which may be signed.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is not a number
    except ValueError as error:
        raise ValidationError("is not a valid URL", field="url") from error
    schemes = {"https", urlsplit(base_url).scheme}
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc:
        raise ValidationError("must begin with https:// and name a host", field="url")
    return url
