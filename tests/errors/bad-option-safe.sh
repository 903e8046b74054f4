labctl render dc1.yml --safe
