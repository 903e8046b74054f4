labctl doctor --for rnuc
