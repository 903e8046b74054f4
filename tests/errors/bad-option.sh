labctl deploy dc1.clab.yml --wait --timeout 5
