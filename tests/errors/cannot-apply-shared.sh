# needs: root
# needs: runc
# needs: images
trap 'labctl destroy --all --yes > /dev/null 2>&1' EXIT
echo one > motd
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, cmd: sleep infinity, binds: ["motd:/etc/motd"]}
    tap: {kind: linux, image: labctl/base, cmd: sleep infinity, network-mode: "container:r1"}
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
echo two > motd
labctl apply dc1.clab.yml
