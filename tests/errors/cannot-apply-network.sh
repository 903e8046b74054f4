# needs: root
# needs: runc
# needs: images
trap 'labctl destroy --all --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  defaults: {kind: linux, image: labctl/base, cmd: sleep infinity}
  nodes:
    r1:
    tap:
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
cat >> dc1.clab.yml <<LAB
      user: root
      network-mode: container:r1
LAB
labctl apply dc1.clab.yml
