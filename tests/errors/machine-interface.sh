# The loopback is there on every machine.
# needs: root
# needs: runc
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
  links:
    - endpoints: ["r1:eth1", "host:lo"]
    - endpoints: ["r1:eth2", "macvlan:no-such-device"]
LAB
labctl deploy dc1.clab.yml
