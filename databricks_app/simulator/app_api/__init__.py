"""The App API of the simulator: a module for each noun, each with its `routes`."""
