# needs: root
# needs: runc
# needs: images
trap 'labctl destroy dc1 --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, entrypoint: sh -c, cmd: "'sleep 0.1'"}
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
for _ in $(seq 100); do
  labctl inspect -f json 2> /dev/null | grep -q '"state": "exited"' && break
  sleep 0.1
done
labctl exec r1 -- true
