cat > dc1.clab.yml <<LAB
name: dc1
topology: {nodes: {r1: {kind: linux, image: labctl/base}}}
LAB
labctl deploy dc1.clab.yml --image labctl/bse=labctl/frr
