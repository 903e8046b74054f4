# Somebody else's labs: root made the directory. The checkout and the interpreter are bound to where anybody may read them.
# needs: root
# needs: setpriv
boot=$(cat /proc/sys/kernel/random/boot_id)
checkout=$(dirname "$(dirname "$HERE")") venv=$(dirname "$(dirname "$PYTHON")")
export LABCTL_STATE=/var/tmp/labctl-errors-no-root-labs PYTHONPATH=/mnt/labctl
trap 'rm -rf "$LABCTL_STATE"' EXIT
mkdir -p -m 755 "$LABCTL_STATE"
mkdir -m 700 "$LABCTL_STATE/boots" "$LABCTL_STATE/boots/$boot" "$LABCTL_STATE/boots/$boot/labs"
unshare --mount sh -euc 'mount -t tmpfs none /mnt; mkdir /mnt/labctl /mnt/venv
  mount --bind "$1" /mnt/labctl; mount --bind "$2" /mnt/venv
  shift 2; exec setpriv --reuid nobody --clear-groups "$@"' sh "$checkout" "$venv" \
  "/mnt/venv/bin/${PYTHON##*/}" -m labctl inspect 2>&1 >/dev/null | sed "s/$boot/BOOT/" >&2
exit "${PIPESTATUS[0]}"
