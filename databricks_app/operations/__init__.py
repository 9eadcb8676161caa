"""The tasks of an admin: deployment, doctor, webhook setup, workspaces and alerting."""
