"""What the demo refuses before it touches anything; playing it is tests/system/test_readme.py's."""

import pytest

from labctl.app import demo, standin
from labctl.errors import LabctlError
from labctl.runtime.store import Instance
from labctl.schema import scenario


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("name: t\ntimeline: [{fault: node.hang, target: {node: r77}, for: 1s}]\n", "unknown-node"),
        ("name: t\ntimeline: [{fault: node.hang, target: {node: a-core1}}]\n", "missing-key"),
        (None, "file-not-found"),
    ],
)
def test_a_scenario_that_cannot_be_played_is_refused_before_anything_is_deployed(
    text, code, tmp_path, monkeypatch
):
    monkeypatch.setenv("LABCTL_STATE", str(tmp_path / "state"))
    file = tmp_path / "t.yml"
    if text is not None:
        file.write_text(text)
    request = demo.Request(out=str(tmp_path / "out"), scenario=str(file))
    with pytest.raises(LabctlError) as error:
        demo.demo(request, Instance.here())
    assert error.value.code == code
    assert {path.name for path in tmp_path.iterdir()} <= {"t.yml"}


def test_its_own_scenario_is_one_of_the_library():
    assert scenario.load(standin.scenario()).name == "core-cut"
