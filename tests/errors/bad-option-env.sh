labctl render dc1.yml --env LABCTL_START=nginx
