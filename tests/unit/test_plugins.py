"""Registries: looking imports nothing, taking imports one thing, clashes name both."""

import sys

import pytest

from labctl.errors import LabctlError
from labctl.plugins import Registry


def registry(**builtin):
    return Registry("thing", group="labctl.test-things", builtin=builtin)


def test_looking_imports_nothing():
    things = registry(a="json.tool:main", b="no.such.module:x")
    sys.modules.pop("json.tool", None)
    assert list(things) == ["a", "b"]
    assert "a" in things
    assert "json.tool" not in sys.modules
    assert things["a"].__module__ == "json.tool"


def test_registries_do_not_share():
    registry(a="json:dumps")
    assert "a" not in registry()


def test_a_name_that_is_none():
    with pytest.raises(LabctlError) as caught:
        registry(linkdown="json:dumps")["linkdwon"]
    assert (caught.value.code, caught.value.hint) == ("unknown-plugin", "did you mean `linkdown`?")


def distribution(path, monkeypatch, name, points):
    info = path / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[labctl.test-things]\n" + points)
    monkeypatch.syspath_prepend(str(path))


def test_another_package_joins(tmp_path, monkeypatch):
    distribution(tmp_path, monkeypatch, "extra", "b = json:loads\n")
    things = registry(a="json:dumps")
    assert list(things) == ["a", "b"]
    assert things["b"]("1") == 1


def test_two_that_claim_one_name(tmp_path, monkeypatch):
    distribution(tmp_path, monkeypatch, "extra", "a = json:loads\n")
    with pytest.raises(LabctlError, match="two things are called 'a': json:dumps and json:loads"):
        list(registry(a="json:dumps"))
