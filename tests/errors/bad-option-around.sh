labctl render dc1.yml --around core1
