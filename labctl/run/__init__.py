"""The only layer that waits: deploy, settle, converge, heal."""
