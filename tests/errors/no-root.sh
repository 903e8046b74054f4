# needs: root
# needs: setpriv
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: "labctl/frr"}
LAB
LABCTL_STATE=/var/tmp/labctl-errors-no-root setpriv --reuid nobody --clear-groups \
  "$PYTHON" -m labctl deploy /dev/stdin < dc1.clab.yml
