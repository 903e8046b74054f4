# needs: root
# needs: runc
# needs: images
trap 'labctl destroy dc1 --yes > /dev/null 2>&1; labctl destroy dc2 --yes > /dev/null 2>&1' EXIT
for name in dc1 dc2; do
  cat > $name.clab.yml <<LAB
name: $name
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, cmd: sleep infinity}
LAB
  labctl deploy $name.clab.yml > /dev/null 2>&1
done
labctl exec r1 -- true
