"""What makes a lab real: runc, Docker, or a simulator, behind small protocols, and the patch panel."""
