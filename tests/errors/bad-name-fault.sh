# needs: root
# needs: runc
# needs: images
trap 'labctl destroy dc1 --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
labctl fault add node.slow r1 --cpu 50% --for 60s --id 'run-1/cut'
