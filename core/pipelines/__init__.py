"""The Data Pipelines API: a client that sends at once, and a queue that sends in the background."""

from core.pipelines.client import PipelinesClient
from core.pipelines.queue import PipelinesQueue

__all__ = ["PipelinesClient", "PipelinesQueue"]
