"""What is written is read back the same, by a YAML 1.1 reader and by a 1.2 reader."""

import math
import re

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from labctl.schema import yaml, yaml_out


class Yaml12(pyyaml.SafeLoader):
    """PyYAML with the resolvers of YAML 1.2's core schema instead of 1.1's."""

    yaml_implicit_resolvers = {}  # noqa: RUF012


for _tag, _regex, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
    ("null", "null|Null|NULL|~|", ["~", "n", "N", ""]),
):
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_regex})$"), list(_first))

READERS = [pyyaml.SafeLoader, pyyaml.CSafeLoader, Yaml12]

TRAPS = """on off yes no y n Y N true null ~ 22:22 1:30 010 0o17 0x1f 1e3 1e-3 1_000 .5 .inf -1 +1 2026-11-20 = << -
? : # & * ! | > ' " % @ ` {} [] {{ }} $HOME ${A:-b} $$ 12:34:56:12:34:56 10.0.0.1 10.0.0.1/30 2001:db8::1/64 a: b# a,b
(a) /etc/frr r1:eth1 e1 _1 a=b 1.0 22.10 --- ...""".split()  # noqa: SIM905


TEXTS = st.one_of(
    st.sampled_from(TRAPS),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.sampled_from([*TRAPS, "a", "b c", "\n", "\t", " ", "é", "\x85", "\u2028", "\ufeff"])).map(
        " ".join
    ),
)
FLOATS = st.floats(allow_nan=False)
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | FLOATS | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("reader", READERS)
@given(document=st.dictionaries(TEXTS, VALUES, min_size=1))
def test_every_reader_gets_back_what_was_written(reader, document):
    assert pyyaml.load(yaml_out.dump(document), Loader=reader) == document


@given(document=st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=3).map(yaml_out.Flow), min_size=1))
def test_our_own_reader_gets_the_text(document):
    assert yaml.plain(yaml.parse(yaml_out.dump(document), file="x")) == document


@given(document=st.dictionaries(TEXTS, TEXTS, min_size=1))
def test_no_raw_text_expansion_can_touch_it(document):
    written = yaml_out.dump(document)
    assert "$" not in written
    assert "{{" not in written


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("reader", READERS)
def test_the_known_traps_stay_text(reader, trap):
    assert pyyaml.load(
        yaml_out.dump({trap: trap, "l": [trap], "f": yaml_out.Flow([trap])}), Loader=reader
    ) == {
        trap: trap,
        "l": [trap],
        "f": [trap],
    }


def test_not_a_number_and_infinity_have_a_form():
    read = pyyaml.safe_load(yaml_out.dump({"a": math.nan, "b": math.inf, "c": -math.inf}))
    assert math.isnan(read["a"])
    assert (read["b"], read["c"]) == (math.inf, -math.inf)


def test_the_layout_people_write():
    assert yaml_out.dump(
        {
            "name": "dc1",
            "mac": "aa:c1:ab:00:00:01",
            "empty": {},
            "nodes": {"r1": {"image": "frr:8.4", "mtu": 9500, "up": True, "none": None}},
            "links": [{"endpoints": yaml_out.Flow(["r1:eth1", "r2:eth1"]), "mtu": 1500}, "text", []],
        }
    ) == (
        "name: dc1\n"
        'mac: "aa:c1:ab:00:00:01"\n'
        "empty: {}\n"
        "nodes:\n"
        "  r1:\n"
        '    image: "frr:8.4"\n'
        "    mtu: 9500\n"
        "    up: true\n"
        "    none: null\n"
        "links:\n"
        '  - endpoints: ["r1:eth1", "r2:eth1"]\n'
        "    mtu: 1500\n"
        "  - text\n"
        "  - []\n"
    )


def test_a_value_without_a_form_is_refused():
    with pytest.raises(TypeError, match="object has no YAML form"):
        yaml_out.dump({"a": object()})
