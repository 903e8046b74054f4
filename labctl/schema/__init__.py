"""Files to model and back: YAML with line numbers, validation, JSON Schema."""
