# An image is to be pulled, and there is no buildah.
# needs: root
mkdir bin
for tool in runc unshare mount; do ln -s "$(PATH=$PATH:/usr/sbin type -P $tool || echo /bin/true)" bin/; done
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: "example/web"}
LAB
LABCTL_IMAGES=$PWD/images PATH=$PWD/bin "$PYTHON" -m labctl deploy dc1.clab.yml
