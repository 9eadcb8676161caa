"""The Data Pipelines API: a client that sends immediately, a queue that sends in the background."""

from core.pipelines.client import PipelinesClient
from core.pipelines.queue import PipelinesQueue

__all__ = ["PipelinesClient", "PipelinesQueue"]
