"""Several workspaces of Customer.io in one receiver: what is there, and how a name is changed."""
