# needs: root
# needs: runc
# needs: images
echo 'table ip labctl-packets { chain forward { type filter hook nowhere priority 0; } }' > packets.nft
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/frr, binds: ["packets.nft:/etc/labctl/packets.nft"]}
LAB
labctl deploy dc1.clab.yml
