# needs: root
# needs: runc
# needs: images
trap 'labctl destroy dc1 --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, memory: 256MiB}
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
labctl exec r1 -- sh -c 'head -c 40000000 /dev/zero > /dev/shm/full'
"$PYTHON" -c '
import sys
from labctl.errors import LabctlError, render
from labctl.model.lab import Limits
from labctl.run import limits
from labctl.runtime.store import Instance

place = Instance.here().lab("dc1")
try:
    with place.lock():
        limits.ensure(place, "r1", Limits(memory_bytes=16 << 20))
except LabctlError as error:
    print(render(error), file=sys.stderr)
    sys.exit(error.exit)
'
