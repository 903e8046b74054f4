cat > r1.conf <<CONF
Building configuration...

Current configuration:
!
frr version 8.4.4
frr defaults traditional
hostname r1
!
router ospf
 ospf router-id 10.0.0.1
CONF
labctl discover r1.conf
