"""Keys of a lab file whose effect is inside a node: where it runs, its memory file systems, its environment. On every runtime."""

import pytest
from labs import IMAGE, instance

from labctl.app import deploy
from labctl.errors import LabctlError
from labctl.run import destroy, restart
from labctl.runtime.base import RUNTIMES

pytestmark = pytest.mark.root

FILE = f"""\
name: keys
mgmt: {{ipv4-range: 172.20.20.128/25, ipv4-gw: 172.20.20.128}}
topology:
  defaults: {{kind: linux, image: {IMAGE}, env-files: [env]}}
  nodes:
    a:
      cpu-set: "{{{{ .cpu }}}}"
      shm-size: 1MiB
      tmpfs: {{/opt/fast: "size=2m,mode=700", /tmp: "size=3m,exec"}}
      env: {{B: node}}
      dns: {{servers: [172.20.20.130], search: [lab.example], options: ["ndots:2"]}}
    b: {{aliases: [db, db.lab.example]}}
"""


@pytest.fixture(scope="module", params=["runc", pytest.param("docker", marks=pytest.mark.docker)])
def place(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "docker":
            patch.setenv("DOCKER_HOST", request.getfixturevalue("dockerd").url)
        here = instance(tmp_path_factory.mktemp("state"), patch, request.param)
        files = tmp_path_factory.mktemp("files")
        (files / "keys.clab.yml").write_text(FILE)
        (files / "keys.clab_vars.yml").write_text("cpu: '0'\n")
        (files / "env").write_text("A=file\nB=file\n")
        plan = deploy.deploy(deploy.Request(file=str(files / "keys.clab.yml"), runtime=request.param), here)
        try:
            yield here.lab(plan.lab.name)
        finally:
            destroy.destroy(here.lab(plan.lab.name))


def said(place, *argv):
    record = place.need()
    return RUNTIMES[record.runtime](place.instance).exec(record.lab, "a", argv).stdout


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
    no_proxy = "localhost,127.0.0.1,::1,*.local,172.20.20.0/24,3fff:172:20:20::/64,a,b"
    assert found["NO_PROXY"] == found["no_proxy"] == no_proxy


def test_addresses_come_from_the_range_and_not_the_gateway(place):
    assert [node.mgmt_ipv4 for node in place.need().lab.nodes] == ["172.20.20.129", "172.20.20.130"]


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
