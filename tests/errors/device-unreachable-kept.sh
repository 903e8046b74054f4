# A device that does not answer removes nothing: its facts and its links stay from the earlier snapshot.
for n in 1 2; do
    mkdir core$n
    printf 'frr defaults traditional\nhostname core%s\ninterface eth1\n ip address 192.0.2.%s/30\n' $n $n > core$n/frr.conf
done
labctl discover core1 core2 -n dc1 > first 2> /dev/null
cat > inventory.yml <<YAML
devices:
  core1: {address: 127.0.0.1, snmp: {community: not-a-secret, port: 1, timeout: 0.1, retries: 0}}
YAML
status=0
labctl discover inventory.yml core2 -n dc1 > second 2> said || status=$?
grep -q "core1:eth1  core2:eth1" second
sed -n '/^error/,$p' said >&2
exit $status
