"""Where a file says what: the most specific level that has the key, else the nearest thing that the file has."""

import pytest

from labctl.model.lab import Limits, NodeSpec
from labctl.render.change import COSTS, Cost
from labctl.schema import clab
from labctl.schema.clab_keys import NODE
from labctl.schema.clab_places import Places, key_of

TEXT = """\
name: dc1
topology:
  defaults:
    kind: linux
    user: frr
  groups:
    edge: {cpu: 1}
  nodes:
    r1:
      image: i
      group: edge
      user: root
      binds: [a:/a, b:/b]
      env: {A: b}
    r2: {image: i}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
"""


@pytest.fixture
def read():
    places = Places(file="dc1.clab.yml")
    lab = clab.parse(TEXT, file="/labs/dc1.clab.yml", places=places)
    return lab, places


@pytest.mark.parametrize(
    ("node", "field", "line"),
    [
        ("r1", "user", 12),
        ("r2", "user", 5),
        ("r1", "cpu", 7),
        ("r2", "cpu", 15),  # which it would be said in
        ("r1", "env.A", 14),
        ("r1", "binds /labs/b", 13),
        ("r1", "network_mode", 9),
    ],
)
def test_what_a_node_says_stands_where_its_most_specific_level_says_it(read, node, field, line):
    lab, places = read
    assert places.of_node(lab.node(node), [field]).line == line


def test_the_first_field_that_the_file_has_is_named(read):
    lab, places = read
    assert places.of_node(lab.node("r1"), ["network_mode", "user"]).line == 12


def test_of_the_lab(read):
    _, places = read
    assert places.of_lab("name").line == 1
    assert places.of_lab("prefix").line == 1  # the file begins there, and does not have it
    assert places.of_lab("nodes").line == 9
    assert places.of_lab("links").line == 17


def test_every_field_of_a_node_is_said_by_a_key():
    rows = [(name, row) for spec in (NodeSpec, Limits) for name, row in COSTS[spec].items()]
    asked = {name for name, row in rows if row.cost not in (Cost.IDENTITY, Cost.PLACE, Cost.PARTS)}
    assert {name for name in asked if key_of(name) not in NODE} == set()
