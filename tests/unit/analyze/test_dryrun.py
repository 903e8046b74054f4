from labctl.analyze import dryrun
from labctl.faults.plan import plan
from labctl.model.lab import CableSpec, End, LabSpec, NodeSpec
from labctl.names import CableId
from labctl.schema.scenario import parse

CABLES = ("h1:1--r1:1", "r1:2--r2:2", "h2:1--r2:1")
SCENARIO = """
name: t
timeline:
  - wait: 2s
  - parallel:
      - {fault: link.down, target: {link: "of(h1)"}, for: 5s}
      - sequence:
          - wait: {until: settled, timeout: 30s}
          - {fault: node.slow, id: slow, target: {node: r2}, cpu: 20%, for: 3s}
  - check: {routes: same}
"""


def planned(text=SCENARIO):
    ids = [CableId.parse(c) for c in CABLES]
    ends = [[End(port=p, mac="02:00:00:00:00:01") for p in (c.a, c.z)] for c in ids]
    lab = LabSpec(
        name="line",
        nodes=tuple(NodeSpec(name=n) for n in ("h1", "h2", "r1", "r2")),
        cables=tuple(CableSpec(a=a, z=z) for a, z in ends),
    )
    return plan(parse(text, file="s.yml"), lab, 1)


def test_the_text_says_when_what_and_how_far():
    text = dryrun.render(planned())
    assert text.splitlines()[:15] == [
        "scenario t on lab line, seed 1, 7s to 35s",
        "",
        "timeline",
        "            0s  wait   2s",
        "            2s  parallel 2 branches",
        "            2s    fault  link.down: carrier loss on h1:1--r1:1, for 5s",
        "                         h1:1--r1:1 both ways: no carrier at the receiving end (panel side down)",
        "            2s    wait   until routing has settled, at most 30s",
        "     2s to 32s    fault  slow: 20% of a core on r2, for 3s",
        "                         r2: at most 20% of a core (cgroup CPU quota)",
        "     7s to 35s  check  routes == same",
        "",
        "predicted blast radius (shortest paths on the graph)",
        "  touches 1 link: h1:1--r1:1",
        "  touches 1 node: r2",
    ]
    assert "  2s to 7s: 3 pairs lose each other by link.down: h2, r1, r2 | h1" in text
    assert "  not known: routing protocols" in text


def test_times_are_those_of_the_timeline():
    lines = dryrun.timeline(planned())
    found = [(line.what, line.start_s, line.max_start_s, line.depth) for line in lines]
    assert found == [
        ("wait", 0, 0, 0),
        ("parallel", 2, 2, 0),
        ("fault", 2, 2, 1),
        ("wait", 2, 2, 1),
        ("fault", 2, 32, 1),
        ("check", 7, 35, 0),
    ]


def test_the_words_of_a_backend_replace_the_general_ones():
    lines = dryrun.timeline(planned(), words=lambda change: f"tc says {type(change).__name__}")
    assert lines[2].details == ("h1:1--r1:1 both ways: tc says Down",)


def test_long_lists_are_cut_short_and_later_effects_say_when():
    text = "name: t\ntimeline: [{fault: link.flap, target: {link: '*'}, down: 1s, up: 1s, for: 9s}]"
    details = dryrun.timeline(planned(text))[0].details
    assert len(details) == 3  # each cable once, at its first outage
    ramp = "ramp: {delay: [1ms, 2ms, 3ms, 4ms, 5ms, 6ms, 7ms]}"
    text = f"name: t\ntimeline: [{{fault: link.degrade, target: {{link: 'of(h1)'}}, {ramp}, for: 7s}}]"
    details = dryrun.timeline(planned(text))[0].details
    assert details[1] == "h1:1--r1:1 both ways: 2ms, from 1s"
    assert details[-1] == "and 2 more like these"
