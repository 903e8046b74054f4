# needs: root
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
LAB
DOCKER_HOST=unix://$PWD/docker.sock labctl deploy --runtime docker dc1.clab.yml
