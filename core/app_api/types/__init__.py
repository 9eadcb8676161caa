"""Types of bodies and answers of the App API, one module for each noun. Unknown fields are kept."""
