# A real agent that falls silent in the middle: one of its tables is served by a program that hangs.
# needs: root
# needs: unshare
# needs: snmpd
echo 'rocommunity "not-a-secret"
sysName core1
pass -p 10 .1.3.6.1.2.1.31.1.1 /bin/sh '"$PWD"'/hang' > snmpd.conf
echo 'exec sleep 60' > hang
cat > inventory.yml <<YAML
devices:
  core1:
    address: 127.0.0.1
    snmp: {version: 2c, community: "not-a-secret", port: 1161, timeout: 0.5, retries: 0}
    ssh: none
YAML
unshare --net --pid --fork --kill-child bash -c '
ip link set lo up
SNMP_PERSISTENT_DIR=$PWD snmpd -f -Lf snmpd.log -C -c snmpd.conf udp:127.0.0.1:1161 &
for _ in $(seq 100); do grep -q "NET-SNMP version" snmpd.log 2> /dev/null && break; sleep 0.05; done
labctl discover inventory.yml
'
