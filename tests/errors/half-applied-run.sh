# needs: root
# needs: runc
# needs: images
trap 'labctl destroy --all --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, cmd: sleep infinity}
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
echo '    r2: {kind: linux, image: labctl/base, entrypoint: /no/such/command}' >> dc1.clab.yml
labctl apply dc1.clab.yml > /dev/null 2>&1 || true
cat > cut.yml <<SCENARIO
name: cut
timeline:
  - {fault: node.hang, target: {node: r1}, for: 1s}
SCENARIO
labctl run cut.yml
