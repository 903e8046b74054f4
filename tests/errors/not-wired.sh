# A sysctl turns IPv6 off on interfaces to come, and a link wants an IPv6 address.
# needs: root
# needs: runc
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1:
      kind: linux
      image: labctl/base
      network-mode: none
      sysctls: {net.ipv6.conf.default.disable_ipv6: 1}
  links:
    - type: dummy
      endpoint: {node: r1, interface: eth1, ipv6: "2001:db8::1/64"}
LAB
# The kernel says more in parentheses, each version in its own words.
labctl deploy dc1.clab.yml 2>said && exit
status=$?
sed 's/ (ipv6: .*)//' said >&2
exit $status
