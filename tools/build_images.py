"""`make images`: the images that labctl ships, or those named, built where they are missing or out of date."""

from __future__ import annotations

import sys

from labctl.app import images
from labctl.cli.out import Progress, say
from labctl.errors import LabctlError, render
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance


def main(refs: list[str]) -> int:
    progress = Progress()
    store = ImageStore(Instance.here())
    try:
        ready = images.ensure(store, refs or images.shipped(), progress)
    except LabctlError as error:
        say(render(error))
        return error.exit
    finally:
        progress.close()
    say(f"images in {store.root}: {', '.join(image.ref for image in ready)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
