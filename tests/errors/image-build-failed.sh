# A Dockerfile that copies what is not there.
# needs: root
# needs: buildah
mkdir context
printf 'FROM scratch\nCOPY absent /\n' > context/Dockerfile
LABCTL_IMAGES=$PWD/images "$PYTHON" -c '
import sys
from labctl.cli import main
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

main.program = lambda _: lambda **_: ImageStore(Instance.here()).build("context", "example/web")
main.run()
'
