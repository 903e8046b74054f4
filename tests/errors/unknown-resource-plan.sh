cat > nightly.yml <<CAMPAIGN
name: nightly
pool:
  - {fault: node.hang, target: {node: r3}, for: 10s}
CAMPAIGN
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base}
    r2: {kind: linux, image: labctl/base}
    r3: {kind: linux, image: labctl/base}
LAB
labctl campaign nightly.yml --dry-run --trials 1 -l dc1.clab.yml -f json |
  $PYTHON -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["trials"][0]["plan"]))' > plan.json
sed -i /r3:/d dc1.clab.yml
labctl validate plan.json -l dc1.clab.yml
