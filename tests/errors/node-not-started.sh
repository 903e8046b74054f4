# needs: root
# needs: runc
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, entrypoint: /usr/bin/no-such-program}
LAB
labctl deploy dc1.clab.yml
