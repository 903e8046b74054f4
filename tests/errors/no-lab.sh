labctl inspect
