cat > neighbours.csv <<TABLE
device,port,neighbour,neighbour_port
leaf1,eth1,spine1,eth1
leaf1,eth2,spine2
leaf1,,spine1,eth4
TABLE
cat > layer1_topology.json <<EDGES
{"edges": [
  {"node1": {"hostname": "r1"}, "node2": {"hostname": "r2", "interfaceName": "eth1"}}
]}
EDGES
labctl discover neighbours.csv layer1_topology.json
