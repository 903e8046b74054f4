cat > dc1.clab.yml <<LAB
name: dc1
topology: {nodes: {r1: {kind: linux, image: labctl/base}}}
LAB
labctl graph dc1.clab.yml -f svg -o some/new/dc1.svg 2>&1 | sed "s|$PWD/|HERE/|" >&2
exit ${PIPESTATUS[0]}
