labctl exec r1 sh -c 'ip route'
