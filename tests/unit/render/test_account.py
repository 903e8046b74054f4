"""What the renderer could not take along goes down in the account, with its block."""

from labctl.errors import Span
from labctl.ingest.ios import parse
from labctl.ingest.redact import Redactor
from labctl.model.account import LineClass, counts, score
from labctl.render.account import with_losses
from labctl.render.project import Note

TEXT = """\
hostname r1
interface GigabitEthernet0/0
 ip address 10.0.0.1 255.255.255.0
 duplex auto
interface GigabitEthernet0/1
 ip address 10.0.1.1 255.255.255.0
ip route 10.9.0.0 255.255.0.0 10.0.0.2
"""
ACCOUNT = parse(TEXT, file="r1.cfg", device="r1", redactor=Redactor()).account


def classes(*notes):
    lines = with_losses({"r1": ACCOUNT}, notes)["r1"].lines
    return {line.where.line: line.cls.value for line in lines}


def note(kind, line, device="r1"):
    return Note(kind=kind, device=device, text="why", where=Span("r1.cfg", line))


def test_an_object_that_is_left_out_takes_its_block_along():
    found = classes(note("unsupported", 2))
    assert [found[n] for n in (2, 3, 4, 5, 6)] == ["unsupported"] * 3 + ["modelled"] * 2


def test_what_something_else_stands_for_is_one_line():
    assert [classes(note("approximated", 5))[n] for n in (5, 6, 7)] == [
        "approximated",
        "modelled",
        "modelled",
    ]


def test_management_is_irrelevant_and_an_assumption_changes_nothing():
    assert classes(note("stripped", 7))[7] == "irrelevant"
    assert classes(note("assumed", 2), note("unsupported", 5, device="r2")) == classes()


def test_a_line_never_goes_up():
    lines = with_losses({"r1": ACCOUNT}, [note("unsupported", 2), note("approximated", 2)])["r1"].lines
    assert next(line for line in lines if line.where.line == 2).cls is LineClass.UNSUPPORTED


def test_the_score_is_the_share_of_lines_that_matter():
    found = dict.fromkeys(LineClass, 0)
    assert score(found) is None
    found |= {LineClass.MODELLED: 6, LineClass.DEFAULTED: 2, LineClass.IRRELEVANT: 90, LineClass.UNKNOWN: 1}
    assert score(found | {LineClass.APPROXIMATED: 1}) == 0.8
    assert sum(counts(ACCOUNT.lines).values()) == len(ACCOUNT.lines)
