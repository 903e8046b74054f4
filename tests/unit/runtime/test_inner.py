"""Nodes are started beside each other, and whoever fails says for which node."""

import pytest

from labctl.errors import LabctlError, Span
from labctl.linux import proc
from labctl.model.event import ignore
from labctl.model.lab import LabSpec, NodeKind, NodeSpec
from labctl.runtime.inner import start_each


def test_a_helper_that_fails_or_is_killed_is_the_error_of_its_node():
    nodes = tuple(
        NodeSpec(name=name, kind=NodeKind.LINUX, image="i", where=Span("lab.yml", 3)) for name in "ab"
    )

    def start(node):
        proc.run(["sh", "-c", "kill -9 $$" if node.name == "b" else "true"])

    with pytest.raises(LabctlError) as caught:
        start_each(LabSpec(name="l", nodes=nodes), ["a", "b"], start, workers=2, emit=ignore)
    assert (caught.value.code, caught.value.where) == ("node-not-started", Span("lab.yml", 3))
    assert "node 'b'" in caught.value.message
