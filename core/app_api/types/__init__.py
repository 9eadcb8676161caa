"""Bodies and answers of the App API, one module a noun; fields not named here are kept."""
