"""What an installation on Databricks costs a month: list prices, a model, topologies. Pure."""
