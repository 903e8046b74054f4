labctl campaign nightly.yml --for 20
