# The checkout and the interpreter are bound to where anybody may read them.
# needs: root
# needs: setpriv
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: "labctl/frr"}
LAB
checkout=$(dirname "$(dirname "$HERE")") venv=$(dirname "$(dirname "$PYTHON")")
export LABCTL_STATE=/var/tmp/labctl-errors-no-root PYTHONPATH=/mnt/labctl
unshare --mount sh -euc 'mount -t tmpfs none /mnt; mkdir /mnt/labctl /mnt/venv
  mount --bind "$1" /mnt/labctl; mount --bind "$2" /mnt/venv
  shift 2; exec setpriv --reuid nobody --clear-groups "$@"' sh "$checkout" "$venv" \
  "/mnt/venv/bin/${PYTHON##*/}" -m labctl deploy /dev/stdin < dc1.clab.yml
