"""Keys of a lab file whose effect is inside a node: where it runs, its memory file systems, its environment. On every runtime."""

import contextlib
import hashlib
import io
import json
import os
import stat
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from labs import IMAGE, instance

from labctl.app import deploy
from labctl.errors import LabctlError
from labctl.linux import cgroup
from labctl.model.lab import LabSpec, NodeSpec, Pull
from labctl.run import destroy, restart
from labctl.runtime.base import RUNTIMES
from labctl.runtime.docker_engine import Engine
from labctl.runtime.images import ImageStore, normal

pytestmark = pytest.mark.root

DELAY_S = 3
DEVICE = (10, 238)  # a device for nodes that none has by itself
FILE = f"""\
name: keys
mgmt: {{ipv4-range: 172.20.20.128/25, ipv4-gw: 172.20.20.128, mtu: 1400}}
topology:
  defaults: {{kind: linux, image: {IMAGE}, env-files: [env]}}
  nodes:
    a:
      cpu-set: "{{{{ .cpu }}}}"
      shm-size: 1MiB
      tmpfs: {{/opt/fast: "size=2m,mode=700", /tmp: "size=3m,exec"}}
      env: {{B: node}}
      devices: ["{{{{ .device }}}}:/dev/mine:rw", "/dev/full:/dev/filled"]
      dns: {{servers: [172.20.20.130], search: [lab.example], options: ["ndots:2"]}}
    b: {{aliases: [db, db.lab.example]}}
    c:
      entrypoint: sleep
      cmd: infinity
      user: nobody
      hostname: other
      exec: ["sh -c 'echo done > /tmp/done'"]
      binds: ["env:/etc/given:ro"]
      labels: {{site: x, labctl-pids: "99"}}
      sysctls: {{net.ipv4.conf.all.rp_filter: 2}}
      cpu: 0.5
      memory: 128MiB
      startup-delay: {DELAY_S}
      mgmt-ipv4: 172.20.20.77
      mgmt-ipv6: "3fff:172:20:20::77"
    d: {{network-mode: none}}
  links:
    - {{endpoints: ["a:eth1", "b:eth1"], mtu: 1600, ipv4: [198.18.1.1/30, 198.18.1.2/30], ipv6: ["2001:db8:1::1/64", ""]}}
    - type: veth
      mtu: 1700
      endpoints:
        - {{node: a, interface: up0, mac: "02:00:00:00:0c:0a", ipv4: 198.18.2.1/30}}
        - {{node: b, interface: up0, mac: "02:00:00:00:0c:0b", ipv4: 198.18.2.2/30, ipv6: "2001:db8:2::2/64"}}
    - {{type: dummy, endpoint: {{node: b, interface: none0, ipv6: "2001:db8:3::1/64"}}, mtu: 1500}}
"""

BEGUN = {}  # lab -> when its deploy began, on the clock of /proc


@pytest.fixture(scope="module", params=["runc", pytest.param("docker", marks=pytest.mark.docker)])
def place(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "docker":
            patch.setenv("DOCKER_HOST", request.getfixturevalue("dockerd").url)
        here = instance(tmp_path_factory.mktemp("state"), patch, request.param)
        files = tmp_path_factory.mktemp("files")
        (files / "keys.clab.yml").write_text(FILE)
        (files / "keys.clab_vars.yml").write_text(f"cpu: '0'\ndevice: {files}/device\n")
        os.mknod(files / "device", stat.S_IFCHR | 0o640, os.makedev(*DEVICE))
        (files / "env").write_text("A=file\nB=file\n")
        begun = time.clock_gettime(time.CLOCK_BOOTTIME)
        plan = deploy.deploy(deploy.Request(file=str(files / "keys.clab.yml"), runtime=request.param), here)
        try:
            BEGUN[plan.lab.name] = begun
            yield here.lab(plan.lab.name)
        finally:
            destroy.destroy(here.lab(plan.lab.name))


def said(place, *argv, node="a"):
    record = place.need()
    return RUNTIMES[record.runtime](place.instance).exec(record.lab, node, argv).stdout


def of_first_process(place, key):
    return next(x.split()[1] for x in said(place, "cat", "/proc/1/status").splitlines() if x.startswith(key))


def test_a_node_runs_on_its_processors_also_after_a_restart(place):
    assert of_first_process(place, "Cpus_allowed_list:") == "0"
    restart.restart(place, ["a"])
    assert of_first_process(place, "Cpus_allowed_list:") == "0"


def test_memory_file_systems_have_their_sizes_and_options(place):
    mounts = {
        line.split()[1]: line.split()[3].split(",")
        for line in said(place, "cat", "/proc/mounts").splitlines()
    }
    assert "size=1024k" in mounts["/dev/shm"]
    assert {"size=2048k", "mode=700", "noexec", "nosuid", "nodev"} <= set(mounts["/opt/fast"])
    assert "size=3072k" in mounts["/tmp"]
    assert "noexec" not in mounts["/tmp"]


def test_the_resolver_and_the_names_of_other_nodes(place):
    assert said(place, "cat", "/etc/resolv.conf") == (
        "nameserver 172.20.20.130\nsearch lab.example\noptions ndots:2\n"
    )
    assert said(place, "getent", "hosts", "db").split()[0] in ("172.20.20.130", "3fff:172:20:20::3")


def test_variables_of_files_and_of_the_node(place):
    found = dict(
        line.split("=", 1) for line in said(place, "cat", "/proc/1/environ").split("\0") if "=" in line
    )
    assert (found["A"], found["B"]) == ("file", "node")
    no_proxy = "localhost,127.0.0.1,::1,*.local,172.20.20.0/24,172.20.20.77,3fff:172:20:20::/64,3fff:172:20:20::77,a,b,c,d"
    assert found["NO_PROXY"] == found["no_proxy"] == no_proxy


def test_addresses_come_from_the_range_and_not_the_gateway(place):
    addresses = [node.mgmt_ipv4 for node in place.need().lab.nodes]
    assert addresses == ["172.20.20.129", "172.20.20.130", "172.20.20.77", None]


def test_the_first_process_is_what_the_file_says(place):
    program, *arguments = said(place, "cat", "/proc/1/cmdline", node="c").split("\0")
    assert (os.path.basename(program), arguments) == ("sleep", ["infinity", ""])
    status = said(place, "cat", "/proc/1/status", node="c").splitlines()
    nobody = said(place, "id", "-u", "nobody", node="c").strip()
    assert next(x.split()[1] for x in status if x.startswith("Uid:")) == nobody
    assert said(place, "hostname", node="c") == "other\n"
    environment = said(place, "cat", "/proc/1/environ", node="c").split("\0")
    assert "CLAB_LABEL_SITE=x" in environment


def test_it_is_started_after_its_delay(place):
    started = int(said(place, "cat", "/proc/1/stat", node="c").rpartition(")")[2].split()[19])
    assert started / os.sysconf("SC_CLK_TCK") >= BEGUN["keys"] + DELAY_S - 0.02  # counted in ticks


def test_commands_files_and_settings_of_a_node(place):
    assert said(place, "cat", "/tmp/done", node="c") == "done\n"
    assert said(place, "cat", "/etc/given", node="c") == "A=file\nB=file\n"
    assert said(place, "cat", "/proc/sys/net/ipv4/conf/all/rp_filter", node="c") == "2\n"


def test_management_addresses_and_mtu(place):
    shown = said(place, "ip", "addr", "show", "eth0", node="c")
    assert "172.20.20.77/24" in shown
    assert "3fff:172:20:20::77/64" in shown
    assert "mtu 1400" in shown
    assert "eth0" not in said(place, "ip", "link", node="d")


def ports(place, node):
    """Of each port its MTU, MAC, whether it has carrier, and its addresses (but for those that it gives itself)."""
    return {
        link["ifname"]: (
            link["mtu"], link["address"], "LOWER_UP" in link["flags"],
            [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"] if a["scope"] == "global"],
        )
        for link in json.loads(said(place, "ip", "-j", "addr", node=node))
    }  # fmt: skip


def test_the_ports_of_a_node_are_as_its_links_say(place):
    a, b = ports(place, "a"), ports(place, "b")
    assert set(a) == {"lo", "eth0", "eth1", "up0"}
    assert (a["eth1"][0], *a["eth1"][2:]) == (1600, True, ["198.18.1.1/30", "2001:db8:1::1/64"])
    assert (b["eth1"][0], *b["eth1"][2:]) == (1600, True, ["198.18.1.2/30"])
    assert a["up0"] == (1700, "02:00:00:00:0c:0a", True, ["198.18.2.1/30"])
    assert b["up0"] == (1700, "02:00:00:00:0c:0b", True, ["198.18.2.2/30", "2001:db8:2::2/64"])
    assert (b["none0"][0], *b["none0"][2:]) == (1500, True, ["2001:db8:3::1/64"])
    for address in ("198.18.1.2", "198.18.2.2"):
        assert ", 0% packet loss" in said(place, "ping", "-n", "-c", "1", "-W", "5", address)


def test_a_node_has_the_devices_that_it_asks_for_and_no_other_may_use_them_unasked(place):
    assert said(place, "stat", "-c", "%F %t:%T %a", "/dev/mine") == "character special file a:ee 640\n"
    assert said(place, "stat", "-c", "%F %t:%T", "/dev/filled") == "character special file 1:7\n"
    use = "exec 2>&1; test -e /dev/mine || mknod /dev/mine c 10 238; : < /dev/mine"
    # The kernel need not have a driver for it; whether the node may ask it is decided before.
    assert "Operation not permitted" not in said(place, "sh", "-c", use)
    assert "Operation not permitted" in said(place, "sh", "-c", use, node="d")


def test_limits_of_the_file(place):
    record = place.need()
    group = RUNTIMES[record.runtime](place.instance)._group(place, "c")
    version2 = cgroup.unified()
    wanted = (
        {"cpu.max": "50000 100000", "memory.max": str(128 << 20), "pids.max": "99"}
        if version2
        else {"cpu.cfs_quota_us": "50000", "memory.limit_in_bytes": str(128 << 20), "pids.max": "99"}
    )
    for name, value in wanted.items():
        root = cgroup.roots()["unified" if version2 else name.partition(".")[0]]
        with open(os.path.join(root, group, name)) as file:
            assert file.read().strip() == value, name


def test_a_processor_that_is_not_there(place, tmp_path):
    path = tmp_path / "x.clab.yml"
    path.write_text(
        f"name: x\ntopology: {{nodes: {{a: {{kind: linux, image: {IMAGE}, cpu-set: 0-4095}}}}}}\n"
    )
    with pytest.raises(LabctlError) as caught:
        deploy.deploy(
            deploy.Request(file=str(path), runtime=place.need().runtime, dry_run=True), place.instance
        )
    assert caught.value.code == "bad-value"
    assert "this machine has no processor" in caught.value.message


# -- image-pull-policy ---------------------------------------------------------------------------------------------

NOWHERE = "127.0.0.1:1/base:1"  # nobody listens there


def wants(ref, pull):
    return LabSpec(name="wants", nodes=(NodeSpec(name="r1", image=ref, pull=pull, network_mode="none"),))


def prepared(lab, runtime, here):
    """What a deploy tells before it touches anything, and the code of its error."""
    told = []
    try:
        deploy.prepare(lab, deploy.Request(file="", runtime=runtime), here, told.append)
    except LabctlError as error:
        return [event.kind for event in told], error.code
    return [event.kind for event in told], None


@pytest.fixture
def with_a_copy(place, tmp_path, monkeypatch, request):
    """An instance that has the image of `NOWHERE`."""
    runtime, store = place.need().runtime, ImageStore(place.instance)
    if runtime == "docker":
        engine = request.getfixturevalue("dockerd")
        engine.docker("tag", "labctl/base:latest", NOWHERE)
    else:
        image = store.find(IMAGE)
        os.makedirs(tmp_path / "refs")
        os.symlink(os.path.dirname(image.rootfs), tmp_path / image.digest)
        with open(os.path.join(store.root, "refs", quote(normal(IMAGE), safe="") + ".json")) as file:
            record = json.load(file)
        record["image"]["ref"] = NOWHERE
        (tmp_path / "refs" / (quote(normal(NOWHERE), safe="") + ".json")).write_text(json.dumps(record))
        monkeypatch.setenv("LABCTL_IMAGES", str(tmp_path))
    yield runtime, place.instance
    if runtime == "docker":
        engine.docker("rmi", NOWHERE)


def test_an_image_that_is_here_is_asked_for_only_by_always(with_a_copy):
    runtime, here = with_a_copy
    for pull in (Pull.NEVER, Pull.IF_NOT_PRESENT):
        assert prepared(wants(NOWHERE, pull), runtime, here) == (["runtime"], None)
    kinds, code = prepared(wants(NOWHERE, Pull.ALWAYS), runtime, here)
    assert kinds == ["runtime", "image-pull"]
    assert code == {"runc": "image-build-failed", "docker": "engine-refused"}[runtime]


def test_an_image_that_is_missing_is_asked_for_unless_never(place):
    runtime, absent = place.need().runtime, "127.0.0.1:1/absent:1"
    assert prepared(wants(absent, Pull.NEVER), runtime, place.instance) == (["runtime"], "image-not-found")
    for pull in (Pull.IF_NOT_PRESENT, Pull.ALWAYS):
        kinds, code = prepared(wants(absent, pull), runtime, place.instance)
        assert kinds == ["runtime", "image-pull"]
        assert code in ("image-build-failed", "engine-refused")


@contextlib.contextmanager
def registry(blobs):
    """A registry on the loopback: it gives what `blobs` has under `latest` and under digests."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rpartition("/")[2]
            found = blobs.get(name, b"{}" if self.path == "/v2/" else None)
            self.send_response(200 if found is not None else 404)
            body = found or b""
            if "/manifests/" in self.path:
                self.send_header("Content-Type", json.loads(body or b"{}").get("mediaType", ""))
                self.send_header("Docker-Content-Digest", digest(body))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815  (the base class's name)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}/image:latest"
    finally:
        server.shutdown()
        server.server_close()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image_that_says(word):
    """What a registry has of an image whose command this is."""
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    layer, of = tree.getvalue(), "application/vnd.docker"
    config = json.dumps(
        {
            "architecture": "amd64", "os": "linux", "config": {"Cmd": [word]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
    ).encode()  # fmt: skip
    manifest = {
        "schemaVersion": 2, "mediaType": f"{of}.distribution.manifest.v2+json",
        "config": {"mediaType": f"{of}.container.image.v1+json", "size": len(config), "digest": digest(config)},
        "layers": [
            {"mediaType": f"{of}.image.rootfs.diff.tar", "size": len(layer), "digest": digest(layer)}
        ],
    }  # fmt: skip
    text = json.dumps(manifest).encode()
    return {"latest": text, digest(text): text, digest(config): config, digest(layer): layer}


@pytest.mark.docker
def test_docker_has_what_the_registry_has_by_now(dockerd, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", dockerd.url)
    here = instance(tmp_path, monkeypatch, "docker")
    blobs = image_that_says("one")

    def command(ref):
        with Engine(dockerd.url) as engine:
            return engine.image(ref)["Config"]["Cmd"]

    with registry(blobs) as ref:
        assert prepared(wants(ref, Pull.ALWAYS), "docker", here) == (["runtime", "image-pull"], None)
        assert command(ref) == ["one"]
        blobs.update(image_that_says("two"))
        assert prepared(wants(ref, Pull.IF_NOT_PRESENT), "docker", here) == (["runtime"], None)
        assert command(ref) == ["one"]
        assert prepared(wants(ref, Pull.ALWAYS), "docker", here) == (["runtime", "image-pull"], None)
        assert command(ref) == ["two"]
        dockerd.docker("rmi", ref)
