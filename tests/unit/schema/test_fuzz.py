"""No input gives a traceback: whatever a file holds, it is read or refused with an error that has a place."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from labctl.errors import LabctlError
from labctl.model.snapshot import Snapshot
from labctl.schema import clab, clab_keys, files, yaml_out

KEYS = sorted(
    {
        *clab_keys.TOP,
        *clab_keys.MGMT,
        *clab_keys.TOPOLOGY,
        *clab_keys.NODE,
        *clab_keys.BRIEF,
        *clab_keys.DUMMY,
        *clab_keys.END,
        "linux",
        "bridge",
        "a",
        "b",
    }
)
WORDS = st.sampled_from(
    [
        *KEYS,
        *clab_keys.LINK_TYPES,
        *[
            "a:eth1",
            "b:eth1",
            "a:eth2",
            "10.0.0.1/30",
            "2001:db8::1/64",
            "aa:bb:cc:00:00:02",
            "172.20.20.5",
            "10.0.0.0/8",
            "::/0",
        ],
        *[
            "0",
            "1",
            "-1",
            "1.5",
            "1e999",
            "9999999999999999999999",
            "1.0e400GB",
            "99999999999999999999TB",
            "true",
            "null",
            "64MiB",
            "x:/y:ro",
            "a:/b",
        ],
        *("${A", "{{ x }}", "'", "a b", "\0", "é" * 20, "..", "/", ":", "::", "", "\n", "$X", "~/x:/y"),
    ]
) | st.text(max_size=5)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS
TREES = st.recursive(
    SCALARS, lambda t: st.lists(t, max_size=4) | st.dictionaries(WORDS, t, max_size=5), max_leaves=20
)
NODE = st.dictionaries(st.sampled_from(sorted(clab_keys.NODE)), TREES, max_size=3).map(
    lambda n: {"kind": "linux"} | n
)
LINK = st.dictionaries(
    st.sampled_from(["endpoints", "endpoint", "type", "mtu", "ipv4", "ipv6", "labels"]), TREES
)
LABS = st.fixed_dictionaries(
    {
        "name": st.just("t") | SCALARS,
        "topology": TREES
        | st.fixed_dictionaries(
            {},
            optional={
                "nodes": st.dictionaries(st.sampled_from(["a", "b"]) | WORDS, NODE | TREES, max_size=3),
                "links": st.lists(LINK | TREES, max_size=3),
                "defaults": NODE | TREES,
                "kinds": st.dictionaries(WORDS, NODE | TREES, max_size=2),
                "groups": st.dictionaries(WORDS, NODE | TREES, max_size=2),
            },
        ),
    },
    optional={
        "mgmt": TREES | st.dictionaries(st.sampled_from(sorted(clab_keys.MGMT)), TREES),
        "prefix": TREES,
    },
)


def survives(read):
    try:
        read()
    except LabctlError as error:
        for each in error.each:
            assert each.where is not None
            assert each.where.file == "/labs/f.yml"
            assert each.message


def read_lab(text):
    return clab.parse(text, file="/labs/f.yml", env={"X": "x\ny: z"}, lenient=True, notify=lambda _: None)


@settings(max_examples=400, deadline=None)
@given(lab=LABS)
@example(lab={"name": "t", "topology": {"nodes": {"a": {"kind": "linux", "memory": "1.0e400GB"}}}})
@example(lab={"name": "t", "topology": {"nodes": {"a": {"kind": "linux", "memory": "9" * 400 + "GB"}}}})
@example(lab={"name": "t", "topology": {"nodes": {"a": {"kind": "linux", "cpu": "1e999"}}}})
@example(
    lab={"name": "t", "topology": {"nodes": {"a": {"kind": "linux", "labels": {"labctl-pids": "9" * 5000}}}}}
)
@example(lab={"name": "t", "topology": {"nodes": {"a": {"kind": "linux", "mgmt-ipv4": "172.20.20.5%1"}}}})
@example(lab={"name": "t", "topology": {"nodes": {"a": {"kind": "linux", "startup-delay": "9" * 5000}}}})
def test_lab_files(lab):
    survives(lambda: read_lab(yaml_out.dump(lab)))


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("ab:-[]{}#&*!|>'\"%@`, \n\t$?~<0"), max_size=60) | st.text(max_size=60))
def test_any_text(text):
    survives(lambda: read_lab(text))
    survives(lambda: files.parse(Snapshot, text, file="/labs/f.yml"))


@settings(max_examples=200, deadline=None)
@given(
    tree=st.dictionaries(
        st.sampled_from(["topology", "configs"]),
        TREES
        | st.dictionaries(
            st.sampled_from(["name", "devices", "links", "segments", "conflicts", "r1"]),
            TREES
            | st.lists(
                st.dictionaries(
                    st.sampled_from(
                        ["id", "name", "polled", "interfaces", "a", "b", "role", "evidence", "device", "bgp"]
                    ),
                    TREES,
                ),
                max_size=2,
            ),
        ),
    )
)
def test_snapshots(tree):
    text = yaml_out.dump({"kind": "snapshot", "version": 1} | tree)
    survives(lambda: files.parse(Snapshot, text, file="/labs/f.yml"))
