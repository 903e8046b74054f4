# needs: root
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1:
      kind: linux
      image: labctl/base
      devices:
        - /dev/kmsg
LAB
labctl deploy dc1.clab.yml --runtime runc
