labctl deploy dc1.clab.yml --image x
