cat > dc1.clab.yml <<LAB
name: dc1
topology: {nodes: {r1: {kind: linux, image: labctl/base}}}
LAB
LABCTL_IMAGES=/srv/a,b labctl deploy dc1.clab.yml
