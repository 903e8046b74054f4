# The loopback is there on every machine.
# needs: root
# needs: runc
trap 'labctl destroy --all --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    sw: {kind: bridge}
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
cat >> dc1.clab.yml <<LAB
  links:
    - endpoints: ["sw:p1", "host:lo"]
LAB
labctl apply dc1.clab.yml
