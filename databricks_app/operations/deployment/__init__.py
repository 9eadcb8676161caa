"""Deployment of the receiver into a Databricks workspace, for `ciolake deploy`.

`plan` is pure and defines the target. `steps`, `release` and `proof` compare it with the workspace
and change what differs, through databricks-sdk. Every step can be repeated at any time.
"""
