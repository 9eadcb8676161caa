"""The App API of the simulator: one module a noun, each with its `routes`."""
