# A router with filters and an image that does not load them, as those of labctl once did not.
# needs: root
# needs: runc
# needs: images
echo 'table ip labctl-packets { }' > packets.nft
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/host, binds: ["packets.nft:/etc/labctl/packets.nft"]}
LAB
labctl deploy dc1.clab.yml
