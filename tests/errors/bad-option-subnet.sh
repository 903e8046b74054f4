labctl render dc1.yml --mgmt-subnet 172.20.20.1/24
