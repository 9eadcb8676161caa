"""Several Customer.io workspaces in one receiver: their keys, their rows and their App APIs."""
