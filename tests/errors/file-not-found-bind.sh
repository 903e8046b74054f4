# needs: root
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1:
      kind: linux
      image: labctl/base
      binds:
        - config/r1:/etc/frr
LAB
labctl deploy dc1.clab.yml
