cat > core1.snmprec <<WALK
1.3.6.1.2.1.1.5.0|4|core1
1.3.6.1.2.1.2.2.1.2.1|4|eth1
WALK
touch topologies
labctl discover -n dc1 core1.snmprec 2>&1 | sed "s|$PWD/|HERE/|" >&2
exit ${PIPESTATUS[0]}
