# needs: root
# needs: runc
# needs: images
trap 'labctl destroy dc1 --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, cmd: sleep infinity}
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
"$PYTHON" -c '
import sys
from labctl.errors import LabctlError, render
from labctl.runtime.base import RUNTIMES
from labctl.runtime.store import Instance

instance = Instance.here()
try:
    RUNTIMES["runc"](instance).exec(instance.lab("dc1").need().lab, "r1", ["sleep", "60"], timeout_s=0.5)
except LabctlError as error:
    print(render(error), file=sys.stderr)
    sys.exit(error.exit)
'
