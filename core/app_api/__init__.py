"""The App API: every operation as a method of a noun, `client.segments.get(7)`."""

from core.app_api.client import AppClient

__all__ = ["AppClient"]
