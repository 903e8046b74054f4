"""What each fault means, as effects. One fault a file."""
