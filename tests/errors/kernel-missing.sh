# A kernel without overlayfs, as far as a process in here can tell.
# needs: root
# needs: runc
# needs: unshare
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
LAB
grep -v overlay /proc/filesystems > filesystems
unshare --mount bash -c 'mount --bind filesystems /proc/filesystems && labctl deploy dc1.clab.yml'
