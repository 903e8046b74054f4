# Somebody else's labs: root made the directory. The checkout is bound to where anybody may read it: it can be in /root.
# needs: root
# needs: setpriv
boot=$(cat /proc/sys/kernel/random/boot_id)
checkout=$(dirname "$(dirname "$HERE")")
export LABCTL_STATE=/var/tmp/labctl-errors-no-root-labs PYTHONPATH=/mnt
trap 'rm -rf "$LABCTL_STATE"' EXIT
mkdir -p -m 755 "$LABCTL_STATE"
mkdir -m 700 "$LABCTL_STATE/boots" "$LABCTL_STATE/boots/$boot" "$LABCTL_STATE/boots/$boot/labs"
unshare --mount sh -euc 'mount --bind "$1" /mnt; shift; exec setpriv --reuid nobody --clear-groups "$@"' sh \
  "$checkout" "/mnt/${PYTHON#"$checkout"/}" -m labctl inspect 2>&1 >/dev/null | sed "s/$boot/BOOT/" >&2
exit "${PIPESTATUS[0]}"
