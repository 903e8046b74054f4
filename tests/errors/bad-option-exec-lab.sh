labctl exec r1 ls -l /tmp
