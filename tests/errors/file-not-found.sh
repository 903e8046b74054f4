labctl validate dc1.clab.yml
