printf '%s\n' 'device,port,neighbour,neighbour_port' 'leaf1,eth1,agg1,eth1' 'leaf2,eth1,agg1,eth2' > neighbours.csv
labctl discover -n dc1 neighbours.csv > /dev/null 2>&1
labctl render topologies/dc1.yml --scope 'leaf*' --safe
