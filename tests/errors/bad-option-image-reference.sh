labctl deploy dc1.clab.yml --image 'labctl/frr=my,image'
