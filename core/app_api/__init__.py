"""The App API: each operation is a method of a noun, such as `client.segments.get(7)`."""

from core.app_api.client import AppClient

__all__ = ["AppClient"]
