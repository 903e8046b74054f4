# needs: root
# needs: runc
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: "labctl/ffr"}
LAB
labctl deploy --dry-run dc1.clab.yml
