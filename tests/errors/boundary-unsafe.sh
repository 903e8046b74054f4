router() {  # NAME AS INTERFACE-ADDRESS-PEER-AS...
  printf 'frr version 8.4.4\nfrr defaults traditional\nhostname %s\n!\n' "$1"
  printf 'interface %s\n ip address %s/30\n!\n' $4
  printf 'router bgp %s\n no bgp ebgp-requires-policy\n' "$2"
  printf ' neighbor %s remote-as %s\n' $3
}
mkdir configs
router leaf1 65001 '10.0.1.2 65000' 'eth1 10.0.1.1' > configs/leaf1.conf
router leaf2 65002 '10.0.2.2 65000' 'eth1 10.0.2.1' > configs/leaf2.conf
router spine1 65000 '10.0.1.1 65001 10.0.2.1 65002' 'eth1 10.0.1.2 eth2 10.0.2.2' > configs/spine1.conf
labctl discover -n dc1 configs > /dev/null 2>&1
labctl render topologies/dc1.yml --scope 'leaf*' --safe
