# In a terminal.
status=0
script -qec 'labctl capture r1:eth1 2> said' /dev/null > /dev/null || status=$?
cat said >&2
exit $status
