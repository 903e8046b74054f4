cat > nightly.yml <<CAMPAIGN
name: nightly
pool:
  - {fault: link.down, target: {link: "*", pick: 1}, for: 10s}
CAMPAIGN
mkdir -p reports/nightly-20261120T020000
cp nightly.yml reports/nightly-20261120T020000/campaign.yml
cat > reports/nightly-20261120T020000/campaign.json <<RECORD
{"version": 1, "kind": "campaign-report", "campaign": "nightly", "lab": "dc1", "runtime": "runc", "seed": 1,
 "started": "2026-11-20T02:00:00+00:00", "duration_s": 60, "verdict": "PASS", "headline": "nightly: 1 trial, 1 PASS.",
 "trials": [{"name": "nightly-001", "verdict": "PASS", "headline": "", "faults": [], "elements": [],
  "directory": "001", "took_s": 60}]}
RECORD
labctl campaign nightly.yml --replay nightly-010
