cat > inventory.yml <<YAML
defaults:
  snmp: {version: 3, user: labctl, auth: sha, auth_key: "\${SNMP_AUTH}", priv: aes, priv_key: "file:keys/priv"}
devices:
  core1: {address: 192.0.2.1}
YAML
unset SNMP_AUTH
labctl discover inventory.yml
