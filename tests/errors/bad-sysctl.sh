# needs: root
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1:
      kind: linux
      image: labctl/base
      sysctls:
        net.ipv4.ip_forwrd: 1
        net.ipv4.conf.eth7.rp_filter: 1
        net.ipv4.ip_forward: maybe
        kernel.shmmax: 1000000
        kernel.panic: 10
        kernel.hostname: edge
        vm.swappiness: 10
LAB
labctl deploy dc1.clab.yml
