"""A hundred OSPF routers on a Docker engine, up and down, and how much of that is the engine's own.

The lab of `ospf100.py` on `--runtime docker`, on an engine that is started for the purpose with its data in a directory
of its own. The baseline is that same engine asked for nothing but as many containers: the same image, no network, no
cables, no files, eight requests at a time. What it takes for those, labctl cannot save.

    benchmarks/docker100.py [SIDE] [ROUNDS]
"""

import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tests", "system"))
sys.path.insert(0, os.path.dirname(__file__))

from dockerd import Dockerd, missing
from ospf100 import IMAGE, lab, wait_up

from labctl.app import deploy
from labctl.app.images import ensure
from labctl.run import destroy
from labctl.runtime import docker_images
from labctl.runtime.docker import WORKERS, DockerRuntime
from labctl.runtime.docker_engine import Engine
from labctl.runtime.images import ImageStore
from labctl.runtime.store import Instance

WANTED_UP_S, WANTED_GONE_S = 40.0, 20.0


def ours(here, spec):
    """Seconds until wired, until `deploy` is back, until every daemon is up; and until nothing is left."""
    began = time.perf_counter()
    steps = []
    deploy.deploy_lab(
        spec,
        deploy.Request(file="", runtime="docker"),
        here,
        lambda e: steps.append((e.kind, time.perf_counter() - began)),
    )
    deployed = time.perf_counter() - began
    runtime, place = DockerRuntime(here), here.lab(spec.name)
    try:
        wait_up([status.pid for status in runtime.status(place.need().lab)])
        up = time.perf_counter() - began
        wired = next(at for kind, at in steps if kind == "wired")
    finally:
        began = time.perf_counter()
        destroy.destroy(place)
        gone = time.perf_counter() - began
    return wired, deployed, up, gone


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


def main(side=10, rounds=3):
    if missing():
        sys.exit(f"docker100: {missing()}")
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as root, Dockerd() as engine:
        os.environ["DOCKER_HOST"] = engine.url
        here = Instance.here(os.path.join(root, "state"))
        os.environ.setdefault("LABCTL_IMAGES", ImageStore(Instance.here()).root)
        ensure(ImageStore(here), [IMAGE])
        spec = lab(root, side)
        count = len(spec.nodes)
        with Engine(engine.url) as asked:
            docker_images.provide(asked, ImageStore(here), [IMAGE])
        print(
            f"docker100: {count} routers, {len(spec.cables)} cables, {rounds} rounds, "
            f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs",
            flush=True,
        )
        both = [(*ours(here, spec), *bare(engine.url, count)) for _ in range(rounds)]
        wired, deployed, up, gone, bare_up, bare_gone = (
            statistics.median(each) for each in zip(*both, strict=True)
        )
    for what, took, own, wanted in (
        ("daemons up", up, bare_up, WANTED_UP_S),
        ("destroyed", gone, bare_gone, WANTED_GONE_S),
    ):
        print(
            f"  {what:10} {took:6.2f} s (median), the engine alone {own:6.2f} s: its share {own / took:4.0%}, "
            f"wanted {wanted:g} s: {'met' if took <= wanted else 'MISSED'}"
        )
    print(f"  of which wired after {wired:.2f} s, `deploy` back after {deployed:.2f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
