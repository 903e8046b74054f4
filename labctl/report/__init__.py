"""A Report to bytes: HTML, JSON, SVG."""
