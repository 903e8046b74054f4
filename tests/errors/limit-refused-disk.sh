# needs: root
# needs: runc
# needs: images
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, labels: {labctl-write-bps: 1MiB}}
LAB
"$PYTHON" -c '
import sys
from labctl.errors import LabctlError, render
from labctl.runtime import runc_check
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance
from labctl.schema import clab

try:
    runc_check.check(clab.load("dc1.clab.yml"), ImageStore(Instance.here()), on=())  # all of it in memory
except LabctlError as error:
    print(render(error), file=sys.stderr)
    sys.exit(error.exit)
'
