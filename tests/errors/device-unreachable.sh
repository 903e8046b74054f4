# Nobody listens there.
# needs: root
# needs: unshare
cat > inventory.yml <<YAML
devices:
  core1:
    address: 127.0.0.1
    snmp: {version: 2c, community: "not-a-secret", port: 1161, timeout: 0.2, retries: 0}
    ssh: none
YAML
unshare --net bash -c 'ip link set lo up; labctl discover inventory.yml'
