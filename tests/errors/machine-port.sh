# needs: root
# needs: runc
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, ports: ["192.0.2.1:8080:80"]}
LAB
labctl deploy dc1.clab.yml --runtime runc
