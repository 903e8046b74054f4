for n in 1 2 3; do
  printf 'frr version 8.4.4\nfrr defaults traditional\nhostname r%s\n!\ninterface eth1\n ip address 10.0.0.%s/24\n!\n' $n $n > r$n.conf
done
labctl discover -n dc1 r1.conf r2.conf r3.conf > /dev/null 2>&1
labctl render --mgmt-subnet 192.0.2.0/30 topologies/dc1.yml
