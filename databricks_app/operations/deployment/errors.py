"""The error of a deployment."""

from __future__ import annotations

from databricks_app.errors import ReceiverError


class DeploymentError(ReceiverError):
    """A step failed; says which, and what to do. What was done stays, and may be done again."""
