# A router is no longer there, and the directory of its files is somebody else's: they cannot be removed.
# needs: root
# needs: setpriv
checkout=$(dirname "$(dirname "$HERE")") venv=$(dirname "$(dirname "$PYTHON")")
export LABCTL_STATE=/mnt/state LABCTL_IMAGES=/mnt/images PYTHONPATH=/mnt/labctl
unshare --mount sh -euc 'mount -t tmpfs none /mnt; mkdir /mnt/labctl /mnt/venv
  mount --bind "$1" /mnt/labctl; mount --bind "$2" /mnt/venv
  python="/mnt/venv/bin/$3"; cd /mnt
  mkdir all one
  for r in r1 r2; do printf "frr version 8.4\nfrr defaults traditional\nhostname $r\nrouter ospf\n" > all/$r.conf; done
  cp all/r1.conf one
  { $python -m labctl discover -n dc1 all
    $python -m labctl render topologies/dc1.yml
    $python -m labctl discover -n dc1 one; } > /dev/null 2>&1
  chown -R nobody topologies
  chown root topologies/dc1/r2
  exec setpriv --reuid nobody --clear-groups $python -m labctl render topologies/dc1.yml' sh "$checkout" "$venv" "${PYTHON##*/}" \
  2>&1 >/dev/null | sed -n '/^error/,$p' >&2
exit "${PIPESTATUS[0]}"
