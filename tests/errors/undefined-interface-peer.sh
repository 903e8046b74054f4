mkdir r1
cat > r1/frr.conf <<'CONF'
frr version 8.4.4
hostname r1
interface eth1
 ip address 10.0.0.1/24
ip route 10.9.0.0/16 eth7
router bgp 65001
 neighbor 10.0.0.2 remote-as 65002
 neighbor 10.0.0.2 update-source Loopback0
CONF
labctl discover r1/frr.conf --name net -o net.yml > /dev/null 2>&1
labctl render net.yml
