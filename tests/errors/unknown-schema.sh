labctl schema snapshto
