"""Addresses: a path filled with ids, a query appended, and what may be downloaded.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from core.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Scalar: TypeAlias = str | int | float | bool
Query: TypeAlias = "Mapping[str, Scalar | Sequence[Scalar] | None]"


def address(base_url: str, template: str, path: Mapping[str, str | int], query: Query) -> str:
    """Fill a path and append a query; everything is percent-encoded.

    Raises:
        ValidationError: An id is missing, blank, or would change the path.
    """
    filled = template
    for name in _names(template):
        value = str(path.get(name, ""))
        if not value.strip() or value in (".", ".."):
            raise ValidationError("must be a non-blank id", field=name)
        filled = filled.replace(f"{{{name}}}", _quoted(value, name))
    pairs = [(name, _word(one, name)) for name, value in query.items() for one in _list(value)]
    return base_url + filled + (f"?{urlencode(pairs, quote_via=quote, safe='')}" if pairs else "")


def _names(template: str) -> list[str]:
    return [part.partition("}")[0] for part in template.split("{")[1:]]


def _quoted(value: str, field: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError as error:
        raise ValidationError("holds a lone surrogate", field=field) from error


def _list(value: Scalar | Sequence[Scalar] | None) -> Sequence[Scalar]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int | float) else value


def _word(value: Scalar, field: str) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    _quoted(text, field)
    return text


def checked_download(url: str, base_url: str) -> str:
    """Return an address that may be downloaded: https, or http if the client's own host is.

    Raises:
        ValidationError: It is not; the text does not hold it, as it may be signed.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValidationError("is no address", field="url") from error
    schemes = {"https", urlsplit(base_url).scheme}
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc:
        raise ValidationError("must begin with https:// and name a host", field="url")
    return url
