# A verb that fails in a way nobody thought of.
"$PYTHON" -c '
import labctl.app.validate as app
from labctl.cli.main import run

app.validate = lambda *_, **__: 1 / 0
run(["validate", "dc1.clab.yml"])
'
