# needs: root
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1:
      kind: linux
      image: labctl/base
      sysctls: {net.ipv4.conf.all.forwardng: 1, net.ipv4.ip_forwrd: 1}
LAB
labctl deploy dc1.clab.yml
