cat > r1.conf <<CONF
frr version 8.4.4
frr defaults traditional
hostname r1
!
ip route 10.9.0.0/16 eth7
!
interface eth1
 ip address 10.0.0.1/30
!
CONF
labctl discover -n dc1 r1.conf > /dev/null 2>&1
labctl render topologies/dc1.yml
