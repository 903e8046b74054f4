# needs: root
# needs: runc
# needs: images
trap 'labctl destroy dc1 --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
    r2: {kind: linux, image: labctl/base}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
labctl capture r1:eth1 -w r1.pcapng --filter "imcp or tcp"
