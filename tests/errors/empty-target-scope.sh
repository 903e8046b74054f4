cp "$HERE/../goldens/render/small.yml" .
labctl render small.yml --scope 'spine*'
