# A node ends, and another one waits for its health.
# needs: root
# needs: runc
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  defaults: {kind: linux, image: labctl/base}
  nodes:
    r1: {stages: {create: {wait-for: [{node: r2, stage: healthy}]}}}
    r2: {cmd: sleep 0.5, healthcheck: {test: [CMD, "false"], interval: 60}}
LAB
labctl deploy dc1.clab.yml 2>said && exit
status=$?
sed -n '/^error/,$p' said >&2
exit $status
