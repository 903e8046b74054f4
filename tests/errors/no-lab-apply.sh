# needs: root
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, cmd: sleep infinity}
LAB
labctl apply dc1.clab.yml
