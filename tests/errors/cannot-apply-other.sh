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
sed "s/^name: dc1/name: dc2/" dc1.clab.yml > dc2.clab.yml
labctl apply dc2.clab.yml --lab dc1
