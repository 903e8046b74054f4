printf '%s\n' 'device,port,neighbour,neighbour_port' 'leaf1,eth1,spine1,eth1' > neighbours.csv
labctl discover neighbours.csv --explain leaf1:eth1 spin1:eth1
