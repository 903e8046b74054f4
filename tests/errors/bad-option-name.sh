labctl deploy dc1.clab.yml --name "data centre 1"
