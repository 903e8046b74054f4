cp "$HERE/../goldens/render/small.yml" .
labctl render small.yml --around core-c --depth 1
