# The checkout is bound to where anybody may read it: it can be in /root.
# needs: root
# needs: setpriv
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: "labctl/frr"}
LAB
checkout=$(dirname "$(dirname "$HERE")")
export LABCTL_STATE=/var/tmp/labctl-errors-no-root PYTHONPATH=/mnt
unshare --mount sh -euc 'mount --bind "$1" /mnt; shift; exec setpriv --reuid nobody --clear-groups "$@"' sh \
  "$checkout" "/mnt/${PYTHON#"$checkout"/}" -m labctl deploy /dev/stdin < dc1.clab.yml
