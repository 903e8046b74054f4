"""The values that flow through labctl: frozen dataclasses, no input or output, no clock."""
