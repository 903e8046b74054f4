# Somebody else's labs: root made the directory.
# needs: root
# needs: setpriv
boot=$(cat /proc/sys/kernel/random/boot_id)
export LABCTL_STATE=/var/tmp/labctl-errors-no-root-labs
trap 'rm -rf "$LABCTL_STATE"' EXIT
mkdir -p -m 755 "$LABCTL_STATE"
mkdir -m 700 "$LABCTL_STATE/boots" "$LABCTL_STATE/boots/$boot" "$LABCTL_STATE/boots/$boot/labs"
setpriv --reuid nobody --clear-groups "$PYTHON" -m labctl inspect 2>&1 >/dev/null | sed "s/$boot/BOOT/" >&2
exit "${PIPESTATUS[0]}"
