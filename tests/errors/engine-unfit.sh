# An engine that is reached over a network cannot join namespaces of this machine.
# needs: root
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
LAB
DOCKER_HOST=tcp://192.0.2.1:2375 labctl deploy --runtime docker dc1.clab.yml
