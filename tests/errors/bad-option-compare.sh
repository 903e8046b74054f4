printf 'routes: {}\n' >routes.yml
labctl compare routes.yml --with routes.yml --from lab:nms
