truncate -s 1G disk.yml
labctl validate disk.yml
