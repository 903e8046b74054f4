# The same as `labctl apply` while `labctl run` plays a scenario, without waiting for its first minute.
# needs: root
# needs: runc
# needs: images
trap 'labctl destroy --all --yes > /dev/null 2>&1' EXIT
cat > dc1.clab.yml <<LAB
name: dc1
topology:
  nodes:
    r1: {kind: linux, image: labctl/base, cmd: sleep infinity}
LAB
labctl deploy dc1.clab.yml > /dev/null 2>&1
echo '    r2: {kind: linux, image: labctl/base, cmd: sleep infinity}' >> dc1.clab.yml
"$PYTHON" -c '
import subprocess
import sys
from labctl.runtime.store import Instance

with Instance.here().lab("dc1").playing():
    sys.exit(subprocess.run(["labctl", "apply", "dc1.clab.yml"]).returncode)
'
