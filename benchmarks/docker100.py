"""A hundred OSPF routers on a Docker engine, up and down, and how much of that is the engine's own.

The lab of `_routers.py` on `--runtime docker`, on an engine that is started for the purpose with its data in a directory
of its own. The baseline is that same engine asked for nothing but as many containers: the same image, no network, no
cables, no files, eight requests at a time. What it takes for those, labctl cannot save. Where `containerlab` is on PATH
it deploys and destroys the same lab, on an engine like that one; both in a network namespace of their own, so that
nothing of it shows on the machine.

    benchmarks/docker100.py [ROUTERS] [ROUNDS]
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "system"))
sys.path.insert(0, os.path.dirname(__file__))

from _common import begin, judged
from _routers import IMAGE, Timed, lab, wait_up
from dockerd import Dockerd, missing

from labctl.app.images import ensure
from labctl.linux import mounts, netns
from labctl.linux.netlink import Netlink
from labctl.runtime import docker_images
from labctl.runtime.docker_engine import WORKERS, Engine
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance
from labctl.schema import clab_out

WANTED_UP_S, WANTED_GONE_S = 40.0, 20.0


def ours(here, spec):
    """Seconds until wired, until `deploy` is back, until every daemon is up; and until nothing is left."""
    with Timed(here, spec, "docker") as run:
        pass
    return run.wired, run.deployed, run.up, run.gone


def bare(url, count):
    """Seconds that the engine takes for as many bare containers: created and started; removed."""
    body = {
        "Image": docker_images.engine_ref(IMAGE),
        "Entrypoint": ["sleep", "infinity"],
        "Labels": {"labctl-bench": "1"},
        "HostConfig": {"NetworkMode": "none"},
    }
    with Engine(url) as engine, ThreadPoolExecutor(WORKERS) as pool:

        def run(number):
            engine.start(engine.create(f"bare-{number}", body))

        began = time.perf_counter()
        list(pool.map(run, range(count)))
        up = time.perf_counter() - began
        began = time.perf_counter()
        list(pool.map(lambda each: engine.remove(each["Id"]), engine.containers(["labctl-bench"])))
        return up, time.perf_counter() - began


def containerlab(root, here, spec):
    """(seconds until every daemon is up, seconds to destroy) of the same lab by containerlab; None if it is not here."""
    if shutil.which("containerlab") is None:
        return None
    file = os.path.join(root, "ospf.clab.yml")
    with open(file, "w") as out:
        out.write(clab_out.dump(spec))
    with _apart(root), Dockerd() as engine, Engine(engine.url) as asked:
        docker_images.provide(asked, ImageStore(here), [IMAGE])
        environment = os.environ | {"DOCKER_HOST": engine.url}

        def run(verb, *more):
            # What it writes into the machine's files of names it writes into copies that only it sees.
            argv = ["unshare", "--mount", "sh", "-ec", _HIDDEN, "containerlab", verb, "-t", file, *more]
            subprocess.run(argv, check=True, env=environment, cwd=root, stdout=subprocess.DEVNULL)

        began = time.perf_counter()
        try:
            run("deploy")
            there = asked.containers([f"containerlab={spec.name}"])
            if len(there) != len(spec.nodes):
                raise SystemExit(f"containerlab has made {len(there)} of {len(spec.nodes)} nodes")
            wait_up([asked.inspect(each["Id"])["State"]["Pid"] for each in there])
            up = time.perf_counter() - began
        finally:
            began = time.perf_counter()
            run("destroy", "--cleanup")
        return up, time.perf_counter() - began


_HIDDEN = """
for each in /etc/hosts /etc/ssh/ssh_config.d /run/netns; do
  [ ! -d $each ] || mount -t tmpfs none $each
  [ ! -f $each ] || { cp $each hidden; mount --bind hidden $each; }
done
exec "$0" "$@"
"""


@contextlib.contextmanager
def _apart(root):
    """This thread, and what it starts, in a network namespace of its own."""
    directory = os.path.join(root, "apart")
    netns.prepare(directory)
    path = os.path.join(directory, "ns")
    try:
        netns.create(path)
        with Netlink(path) as inside:
            inside.set_link("lo", up=True)
        with netns.inside(path):
            yield
    finally:
        netns.delete(path)
        mounts.unmount(directory)


def main(count=100, rounds=3):
    if missing():
        sys.exit(f"docker100: {missing()}")
    begin(f"docker: {count} routers, {2 * count} cables, {rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as root, Dockerd() as engine:
        os.environ["DOCKER_HOST"] = engine.url
        here = Instance.here(os.path.join(root, "state"))
        os.environ.setdefault("LABCTL_IMAGES", ImageStore(Instance.here()).root)
        ensure(ImageStore(here), [IMAGE])
        spec = lab(root, count)
        with Engine(engine.url) as asked:
            docker_images.provide(asked, ImageStore(here), [IMAGE])
        both = [(*ours(here, spec), *bare(engine.url, count)) for _ in range(rounds)]
        wired, deployed, up, gone, bare_up, bare_gone = (
            statistics.median(each) for each in zip(*both, strict=True)
        )
        beside = containerlab(root, here, spec)
    for what, took, own, wanted in (
        ("daemons up", up, bare_up, WANTED_UP_S),
        ("destroyed", gone, bare_gone, WANTED_GONE_S),
    ):
        print(
            f"  {what:10} {took:6.2f} s (median), the engine alone {own:6.2f} s: its share {own / took:4.0%}"
            + (f", {judged(took, wanted)}" if count == 100 else "")
        )
    print(f"  of which wired after {wired:.2f} s, `deploy` back after {deployed:.2f} s")
    if beside is None:
        print("  containerlab: not on PATH")
    else:
        print(
            f"  containerlab: up {beside[0]:.2f} s (once), ratio {beside[0] / up:.1f}; "
            f"destroyed {beside[1]:.2f} s, ratio {beside[1] / gone:.1f}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
