"""Whatever agents answer: nothing raises, no port has two cables, and every neighbour row is placed or reported."""

from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.ingest.mib_tables import COLUMNS, TABLES, Varbind
from labctl.ingest.mibs import decode
from labctl.model.observation import Found
from labctl.topo.identity import identify
from labctl.topo.merge import merge
from labctl.topo.resolve import resolve

MACS = [bytes.fromhex(f"02000000000{n}") for n in range(4)] + [b"\0" * 6]
NAMES = [
    b"eth1",
    b"eth2",
    b"Gi1/0/1",
    b"gi1/0/1",
    b"1",
    b"2",
    b"r0",
    b"r1",
    b"",
    b"\0",
    b"mgmt0",
    "ü".encode(),
]
values = st.one_of(
    st.sampled_from(MACS + NAMES),
    st.integers(0, 9),
    st.binary(max_size=8),
    st.just((0, 0)),
    st.just((1, 3, 6, 1)),
)
indices = st.one_of(
    st.tuples(st.integers(1, 3)),
    st.tuples(st.just(0), st.integers(0, 3), st.integers(1, 2)),
    st.tuples(st.integers(0, 3), st.integers(0, 2)),
    st.lists(st.integers(0, 300), max_size=7).map(tuple),
    st.tuples(st.just(10), st.just(0), st.just(0), st.integers(1, 3)),
    st.tuples(st.just(1), st.just(4), st.just(10), st.just(0), st.just(0), st.integers(1, 3)),
)
tables = st.sampled_from(["ifXTable", "ifTable", *["lldpRemTable"] * 4, "cdpCacheTable", *sorted(COLUMNS)])


@st.composite
def rows(draw):
    """Rows of tables, most of them with most of their columns."""
    found = []
    for _ in range(draw(st.integers(0, 25))):
        table, index = draw(tables), draw(indices)
        found += [
            ((table, column), index, draw(values)) for column in COLUMNS[table] if draw(st.integers(0, 9)) > 1
        ]
    return found


def heard(port, rem, chassis, remote):
    """A neighbour row that may well be true."""
    row = {4: 4, 5: MACS[chassis], 6: 5, 7: remote, 8: b"", 9: b"", 10: b""}
    return [(("lldpRemTable", column), (0, port, rem), row[column]) for column in COLUMNS["lldpRemTable"]]


plausible = st.lists(
    st.builds(
        heard, st.integers(1, 2), st.integers(1, 2), st.integers(0, 3), st.sampled_from([b"eth1", b"eth2"])
    ),
    max_size=4,
).map(lambda found: [cell for each in found for cell in each])


def observe(number, drawn):
    own = [
        (("dot1dBase", 1), (0,), MACS[number]),
        *((("ifXTable", 1), (n,), b"eth%d" % n) for n in (1, 2)),
        *((("lldpLocPortTable", 3), (n,), b"eth%d" % n) for n in (1, 2)),
    ]
    walked = [
        Varbind((*TABLES[table], column, *index), value, f"r{number}:{n}")
        for n, ((table, column), index, value) in enumerate(own + drawn)
    ]
    return decode(walked, key=f"r{number}", source="any", where=f"r{number}")


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(plausible, rows()).map(lambda both: both[0] + both[1]), min_size=1, max_size=3))
def test_any_tables_merge(networks):
    found = Found(observations=tuple(observe(n, drawn) for n, drawn in enumerate(networks)))
    topology = merge("any", found)

    ends = [end for link in topology.links for end in (link.a, link.b)]
    ends += [port for segment in topology.segments for port in segment.ports]
    assert len(ends) == len(set(ends))
    assert len({device.name for device in topology.devices}) == len(topology.devices)
    known = {device.name for device in topology.devices}
    assert {end.node for end in ends} <= known

    said = {e.where for link in topology.links for e in link.evidence}
    said |= {e.where for segment in topology.segments for e in segment.evidence}
    said |= {e.where for conflict in topology.conflicts for e in conflict.said}
    assert {claim.evidence.where for claim in resolve(identify(found)).claims} <= said
    assert merge("any", found) == topology
