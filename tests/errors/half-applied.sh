# r2 cannot start: the lab is half changed, and a scenario on it would measure neither the old one nor the new one.
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
labctl apply dc1.clab.yml > /dev/null
