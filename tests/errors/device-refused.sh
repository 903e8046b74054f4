# A real agent; the key is wrong.
# needs: root
# needs: unshare
# needs: snmpd
cat > snmpd.conf <<CONF
createUser labctl SHA "the right key" AES "the private key"
rouser labctl priv
CONF
cat > inventory.yml <<YAML
devices:
  core1:
    address: 127.0.0.1
    snmp: {version: 3, user: labctl, auth: sha, auth_key: "the wrong key", priv: aes, priv_key: "the private key", port: 1161}
    ssh: none
YAML
unshare --net --pid --fork --kill-child bash -c '
ip link set lo up
SNMP_PERSISTENT_DIR=$PWD snmpd -f -Lf snmpd.log -C -c snmpd.conf udp:127.0.0.1:1161 &
for _ in $(seq 100); do grep -q "NET-SNMP version" snmpd.log 2> /dev/null && break; sleep 0.05; done
labctl discover inventory.yml
'
