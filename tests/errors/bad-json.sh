printf '%s\n' '{"edges": [' '  {"node1": {"hostname": "r1", "interfaceName": "eth1"} "node2": {}}' ']}' > layer1_topology.json
labctl discover layer1_topology.json
