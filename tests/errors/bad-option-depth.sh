labctl render dc1.yml --depth 2
