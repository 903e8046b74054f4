cat > cables.csv <<CABLES
side_a_device,side_a_type,side_a_name,side_b_device,side_b_type,side_b_name,status
leaf1,dcim.interface,Ethernet1,spine1,dcim.interface,Ethernet1,connected
leaf1,dcim.interface,Ethernet2,,dcim.interface,Ethernet1,connected
CABLES
labctl discover cables.csv
