cat > nightly.yml <<CAMPAIGN
name: nightly
pool:
  - {fault: link.down, target: {link: "*", pick: 1}, for: 10s}
CAMPAIGN
labctl campaign nightly.yml --replay 1
