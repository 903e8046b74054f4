cat > nightly.yml <<CAMPAIGN
name: nightly
pool:
  - {fault: node.hang, target: {node: r1}, for: 10s}
CAMPAIGN
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
LAB
echo '{"kind": "coverage", "version": 1, "lab": "dc2", "failed": {}}' > seen.json
labctl campaign nightly.yml --dry-run --coverage seen.json -l dc1.clab.yml
