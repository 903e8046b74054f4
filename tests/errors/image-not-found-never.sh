# needs: root
# needs: runc
# Nothing answers at this place, and nothing is asked: without `Never` it would be an error of the pull.
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: "127.0.0.1:1/r:1", image-pull-policy: Never}
LAB
labctl deploy --runtime runc dc1.clab.yml
