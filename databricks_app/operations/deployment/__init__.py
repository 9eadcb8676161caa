"""Deploys the receiver into a Databricks workspace: what `ciolake deploy` does.

`plan` is pure and says what shall be there; `steps`, `release` and `proof` look what is there and
change the rest, through databricks-sdk. Each step may be done again at any time.
"""
