# The same as two `labctl destroy` at once, without waiting half a minute for the first.
# needs: root
"$PYTHON" -c '
import sys
from labctl.errors import LabctlError, render
from labctl.runtime.store import Instance

lab = Instance.here().lab("dc1")
with lab.lock(create=True):
    try:
        with lab.lock(wait_s=0):
            pass
    except LabctlError as error:
        print(render(error), file=sys.stderr)
        sys.exit(error.exit)
'
