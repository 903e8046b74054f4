cat > core1.snmprec <<WALK
1.3.6.1.2.1.1.5.0|4|core1
1.3.6.1.2.1.2.2.1.2.1|4|eth1
1.3.6.1.2.1.2.2.1.4.1|2|fifteen hundred
1.3.6.1.2.1.2.2.1.6.1|4x|aabbccddeeXX
WALK
labctl discover core1.snmprec
