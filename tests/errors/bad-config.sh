cat > r1.conf <<CONF
frr version 8.4.4
frr defaults traditional
hostname r1
!
router bgp 65001
 neighbor 10.0.0.2 description the other side
!
CONF
labctl discover r1.conf
