"""The REST services of a workspace, one module a service; each says what it does not simulate."""
