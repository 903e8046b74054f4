"""Files that a deploy leaves for other tools: there with the lab, gone with it, also when labctl was killed."""

import csv
import json
import os
import stat

import pytest
import yaml
from labs import IMAGE, instance

from labctl.app import deploy, inspect
from labctl.errors import LabctlError
from labctl.run import deploy as making
from labctl.run import destroy, heal, observe, outputs
from labctl.run.outputs import Outputs

pytestmark = pytest.mark.root

FILE = f"name: outs\ntopology: {{nodes: {{a: {{kind: linux, image: {IMAGE}}}, b: {{kind: linux, image: {IMAGE}}}}}, links: [{{endpoints: ['a:eth1', 'b:eth1']}}]}}\n"
HOSTS = "127.0.0.1 localhost\n# no newline at the end"


@pytest.fixture
def here(tmp_path, monkeypatch, kind):
    monkeypatch.delenv(outputs.BASE_VARIABLE, raising=False)
    found = instance(tmp_path / "state", monkeypatch, kind)
    yield found
    for place in found.labs():
        destroy.destroy(place)


@pytest.fixture
def wanted(tmp_path, kind):
    (tmp_path / "outs.clab.yml").write_text(FILE)
    (tmp_path / "hosts").write_text(HOSTS)
    (tmp_path / "hosts").chmod(0o640)
    return deploy.Request(
        file=str(tmp_path / "outs.clab.yml"),
        runtime=kind,
        outputs=Outputs(directory=True, hosts_file=str(tmp_path / "hosts")),
    )


@pytest.mark.both
def test_they_are_there_with_the_lab_and_gone_with_it(here, wanted, tmp_path):
    deploy.deploy(wanted, here)
    place = here.lab("outs")
    directory = tmp_path / "clab-outs"
    assert sorted(os.listdir(directory)) == [
        "ansible-inventory.yml",
        "nornir-simple-inventory.yml",
        "topology-data.json",
    ]
    data = json.loads((directory / "topology-data.json").read_text())
    shown = {c["name"]: c for c in inspect.inspect([place])[0].containers}
    assert {n["longname"]: n["mgmt-ipv4-address"] + "/24" for n in data["nodes"].values()} == {
        name: c["ipv4_address"] for name, c in shown.items()
    }
    assert yaml.safe_load((directory / "nornir-simple-inventory.yml").read_text()).keys() == {"a", "b"}
    hosts = (tmp_path / "hosts").read_text()
    assert hosts.startswith(HOSTS + "\n###### CLAB-outs-START ######\n172.20.20.2\tclab-outs-a a.outs.io\n")
    assert stat.S_IMODE((tmp_path / "hosts").stat().st_mode) == 0o640
    rows = list(csv.DictReader(inspect.as_csv(inspect.inspect([place])).splitlines()))
    assert [(r["lab_name"], r["name"], r["state"]) for r in rows] == [
        ("outs", "clab-outs-a", "running"),
        ("outs", "clab-outs-b", "running"),
    ]
    destroy.destroy(place)
    assert not directory.exists()
    assert (tmp_path / "hosts").read_text() == HOSTS + "\n"


def test_a_crash_at_any_point_of_writing_leaves_nothing(here, wanted, tmp_path, monkeypatch):
    """The lab is half-made, as `kill -9` leaves it; the next command removes it."""

    class Killed(BaseException):
        pass

    def nothing(_place):
        raise Killed

    real = outputs._put
    for survives in range(5):
        left = [survives]

        def put(path, data, mode, owner, left=left):
            if not left[0]:
                with open(outputs._aside(path), "wb") as file:
                    file.write(data)
                raise Killed
            left[0] -= 1
            real(path, data, mode, owner)

        with monkeypatch.context() as patch:
            patch.setattr(outputs, "_put", put)
            patch.setattr(making.destroy, "remove", nothing)
            if survives < 4:
                with pytest.raises(Killed):
                    deploy.deploy(wanted, here)
            else:
                patch.setattr(making.panel.Panel, "create", nothing)
                with pytest.raises(Killed):
                    deploy.deploy(wanted, here)
        heal.implicit(here)
        assert here.labs() == []
        assert sorted(os.listdir(tmp_path)) == ["hosts", "outs.clab.yml", "state"]
        assert (tmp_path / "hosts").read_text().rstrip("\n") == HOSTS


def test_a_node_may_bind_what_is_written_for_it(here, wanted, tmp_path):
    path = tmp_path / "outs.clab.yml"
    path.write_text(
        FILE.replace("a: {kind", "a: {binds: ['__clabDir__/ansible-inventory.yml:/inventory:ro'], kind")
    )
    with pytest.raises(LabctlError, match="does not exist"):
        deploy.deploy(deploy.Request(file=str(path), runtime=wanted.runtime), here)
    deploy.deploy(wanted, here)
    place = here.lab("outs")
    done = observe.runtime(place).exec(place.need().lab, "a", ["cat", "/inventory"])
    assert "ansible_host: 172.20.20.2" in done.stdout


def test_what_is_there_already_is_in_the_way_and_stays(here, wanted, tmp_path):
    directory = tmp_path / "clab-outs"
    directory.mkdir()
    (directory / "mine").write_text("x")
    (directory / "topology-data.json").write_text("mine")
    with pytest.raises(LabctlError) as caught:
        deploy.deploy(wanted, here)
    assert (caught.value.code, here.labs()) == ("would-overwrite", [])
    (directory / "topology-data.json").unlink()
    deploy.deploy(wanted, here)
    destroy.destroy(here.lab("outs"))
    assert os.listdir(directory) == ["mine"]


def test_a_foreign_block_of_the_same_name_is_in_the_way(here, wanted, tmp_path):
    text = "###### CLAB-outs-START ######\n192.0.2.1 x\n###### CLAB-outs-END ######\n"
    (tmp_path / "hosts").write_text(text)
    with pytest.raises(LabctlError) as caught:
        deploy.deploy(wanted, here)
    assert caught.value.code == "would-overwrite"
    assert (tmp_path / "hosts").read_text() == text


def test_the_directory_below_containerlabs_variable(here, wanted, tmp_path, monkeypatch):
    monkeypatch.setenv(outputs.BASE_VARIABLE, str(tmp_path / "base"))
    (tmp_path / "base").mkdir()
    deploy.deploy(wanted, here)
    assert (tmp_path / "base/clab-outs/topology-data.json").exists()
    destroy.destroy(here.lab("outs"))
    assert os.listdir(tmp_path / "base") == []
