"""A fault's settings, read from a file and from flags."""

import dataclasses

import pytest

from labctl.errors import LabctlError, Problems, Span
from labctl.faults.base import FAULTS, Way
from labctl.model.impairment import Distribution
from labctl.schema import faults, yaml
from labctl.units import format_duration

DEGRADE = FAULTS["link.degrade"]


def read(kind, text):
    """(fault, [(code, place, message, hint)])."""
    problems = Problems()
    value = yaml.parse(text, file="s.yml")
    given = value if isinstance(value, yaml.Map) else yaml.Map({}, Span("s.yml", 1, 1))
    fault = faults.read(FAULTS[kind], given, problems)
    try:
        problems.stop()
    except LabctlError as found:
        return fault, [(e.code, str(e.where), e.message, e.hint) for e in found.each]
    return fault, []


def test_every_unit_of_a_fault():
    text = "delay: 40ms\njitter: 2ms\ndistribution: normal\nkeep-order: false\nloss: 3%\nloss_nth: 7\nrate: 10Mbit\nqueue: 64KiB\n"
    fault, wrong = read("link.degrade", text)
    assert wrong == []
    assert fault == DEGRADE(
        delay_s=0.04,
        jitter_s=0.002,
        distribution=Distribution.NORMAL,
        keep_order=False,
        loss=0.03,
        loss_nth=7,
        rate_bps=1e7,
        queue_bytes=65536,
    )


def test_flags_and_files_say_the_same():
    problems = Problems()
    given = faults.flags({"burst-p": "1%", "burst-r": "10%", "direction": "a->z"})
    assert faults.read(DEGRADE, given, problems) == DEGRADE(burst_p=0.01, burst_r=0.1, direction=Way.A_TO_Z)
    assert len(problems) == 0


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("lines: [router bgp 1, no neighbor 10.0.0.1]", 2),
        ("lines: |\n  router bgp 1\n  no x, y\n", 2),
        ("lines: hostname x", 1),
    ],
)
def test_lines_of_a_configuration(text, lines):
    fault, wrong = read("node.config", text)
    assert wrong == []
    assert len(fault.lines) == lines


def test_words_are_split_at_commas():
    assert read("node.linecard", "ports: eth1, eth[2-4]")[0].ports == ("eth1", "eth[2-4]")
    assert read("link.selective", "protocols: [bfd, tcp-port:179]")[0].protocols == ("bfd", "tcp-port:179")


@pytest.mark.parametrize(
    ("kind", "text", "error", "said", "hint"),
    [
        ("link.degrade", "delay: 40", ("bad-unit", "s.yml:1:8"), "duration '40' has no unit", "units:"),
        ("link.degrade", "loss: 3", ("bad-unit", "s.yml:1:7"), "percentage '3' has no unit", "units: %"),
        ("link.degrade", "loss: 130%", ("bad-unit", "s.yml:1:7"), "above 100%", "3%"),
        ("link.degrade", "rate: 10", ("bad-unit", "s.yml:1:7"), "has no unit", "Mbit"),
        ("link.degrade", "\ndelya: 1s", ("unknown-key", "s.yml:2:1"), "no setting 'delya'", "did you mean `delay`?"),
        ("link.degrade", "delay: [1s]", ("bad-value", "s.yml:1:8"), "must be text, not a list", None),
        ("link.degrade", "delay: ~", ("bad-value", "s.yml:1:8"), "delay is empty", None),
        ("link.degrade", "distribution: norml", ("bad-value", "s.yml:1:15"), "must be one of uniform", "`normal`"),
        ("link.degrade", "keep_order: maybe", ("bad-value", "s.yml:1:13"), "true or false", None),
        ("link.degrade", "loss_nth: 1.5", ("bad-value", "s.yml:1:11"), "a whole number", None),
        ("link.degrade", "direction: both", ("bad-value", "s.yml:1:1"), "nothing to degrade", None),
        ("link.down", "hard: true", ("unknown-key", "s.yml:1:1"), "no setting 'hard'", "known: direction"),
        ("node.hang", "hard: true", ("unknown-key", "s.yml:1:1"), "no setting 'hard'", "it has no settings"),
        ("node.daemon-kill", "{}", ("missing-key", "s.yml:1:1"), "needs daemon", "name of the process"),
        ("node.slow", "cpu: 0.2%", ("bad-value", "s.yml:1:1"), "of a core", None),
        ("link.selective", "protocols: {a: b}", ("bad-value", "s.yml:1:12"), "must be a list, not a map", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(kind, text, error, said, hint):
    fault, wrong = read(kind, text)
    assert fault is None
    assert [each[:2] for each in wrong] == [error]
    assert said in wrong[0][2]
    if hint:
        assert hint in wrong[0][3]


def test_all_mistakes_of_a_fault_are_reported_at_once():
    _, wrong = read("link.degrade", "delay: 1\nloss: 200%\nlos: 1%\n")
    assert [code for code, *_ in wrong] == ["bad-unit", "bad-unit", "unknown-key"]


def test_one_setting_alone_for_a_ramp():
    problems = Problems()
    value = yaml.Scalar("40ms", plain=True, span=Span("s.yml", 3, 9))
    assert faults.read_setting(DEGRADE, "delay", value, problems, value.span) == ("delay_s", 0.04)
    assert len(problems) == 0


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_every_setting_has_a_name_a_unit_and_a_word_of_help(kind):
    specs = faults.settings(FAULTS[kind])
    assert len({spec.key for spec in specs}) == len(specs) == len(dataclasses.fields(FAULTS[kind]))
    for spec in specs:
        assert spec.help, spec
        assert spec.unit in {
            "duration",
            "rate",
            "size",
            "percent",
            "count",
            "word",
            "words",
            "yes or no",
            "text",
        }
        assert not spec.key.endswith(("_s", "_bps", "_bytes"))


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_default_reads_back_as_itself(kind):
    for spec in faults.settings(FAULTS[kind]):
        if spec.default_text:
            problems = Problems()
            value = yaml.Scalar(spec.default_text, plain=False, span=Span("d"))
            assert faults.read_setting(FAULTS[kind], spec.key, value, problems, value.span) == (
                spec.field,
                spec.default,
            )
            assert len(problems) == 0


def test_defaults_in_words():
    flap = {spec.key: spec.default_text for spec in faults.settings(FAULTS["link.flap"])}
    assert flap == {"down": format_duration(1.0), "up": "1s", "jitter": "", "direction": "both"}
