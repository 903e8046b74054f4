import json

import pytest
from agent_labs import lab
from hypothesis import given
from hypothesis import strategies as st

from labctl.agent import ledger
from labctl.agent.clock import Stamp
from labctl.agent.codec import Lease, Owner
from labctl.agent.ledger import Ledger
from labctl.errors import LabctlError
from labctl.model.effects import Direction, Down, Effect, Frozen, HalfCable, NodeRef

SPEC = lab(("r1:eth1", "r2:eth1"), ("r1:e--1", "r3:eth-9--0"))
HALVES = [HalfCable(c.id, d) for c in SPEC.cables for d in Direction]


def stamp(t=1.0):
    return Stamp(monotonic=t, boot=t + 100, wall=t + 1e9)


def lease(name, *on, until=200.0, owner=None):
    effects = tuple(
        Effect(id=name, on=each, change=Down() if isinstance(each, HalfCable) else Frozen()) for each in on
    )
    return Lease(id=name, effects=effects, deadline_boot=until, deadline_wall=until + 1e9, owner=owner)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "ledger.jsonl")


def test_reading_back_gives_the_active_leases(path):
    one = lease("one", *HALVES, owner=Owner(pid=7, start_ticks=99))
    two = lease("two", NodeRef("r1"))
    with Ledger(path) as book:
        book.added(one, stamp())
        book.applied("one", stamp(2))
        book.added(two, stamp(3))
        book.cleared("one", "request", stamp(4))
    past = ledger.read(path)
    assert past.active == {"two": two}
    assert past.touched == {*HALVES, NodeRef("r1")}
    with Ledger(path) as book:
        assert book.active == {"two": two}
        assert book.effects == two.effects


def test_a_lease_survives_the_file_exactly(path):
    one = lease("x", *HALVES, until=1234.56789, owner=Owner(pid=7, start_ticks=99))
    with Ledger(path) as book:
        book.added(one, stamp())
    assert ledger.read(path).active == {"x": one}


def test_no_file_is_an_empty_ledger(path):
    assert ledger.read(path) == ledger.Past()


def test_an_added_lease_with_an_active_id_takes_its_place(path):
    with Ledger(path) as book:
        book.added(lease("a", HALVES[0], until=10), stamp())
        book.added(lease("a", HALVES[1], until=20), stamp())
    past = ledger.read(path)
    assert past.active == {"a": lease("a", HALVES[1], until=20)}
    assert past.touched == set(HALVES[:2])


@given(st.data())
def test_a_crash_in_the_middle_of_a_line_loses_only_that_line(tmp_path_factory, data):
    path = str(tmp_path_factory.mktemp("l") / "ledger.jsonl")
    with Ledger(path) as book:
        book.added(lease("a", HALVES[0]), stamp())
        book.added(lease("b", HALVES[1]), stamp())
        book.cleared("a", "lease", stamp())
    with open(path, "rb") as file:
        whole = file.read()
    size = data.draw(st.integers(0, len(whole)))
    with open(path, "wb") as file:
        file.write(whole[:size])
    complete = whole[:size].count(b"\n")
    expected = [set(), {"a"}, {"a", "b"}, {"b"}][complete]
    assert set(ledger.read(path).active) == expected
    with Ledger(path) as book:  # and writing goes on after the tear
        assert set(book.active) == expected
        book.added(lease("c", HALVES[2]), stamp())
    assert set(ledger.read(path).active) == expected | {"c"}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [lines[0][:20], *lines[1:]], "line 1 column 21"),
        (lambda lines: lines[1:], "sequence number 2"),
        (lambda lines: [lines[0], lines[2]], "sequence number 3"),
        (lambda lines: [lines[0], lines[1].replace('"b"', '"\\u0000"', 1), lines[2]], None),
        (
            lambda lines: [lines[0].replace('"op":"added"', '"op":"addle"'), *lines[1:]],
            "unknown entry 'addle'",
        ),
        (lambda lines: [lines[0].replace('"version":1', '"version":2'), *lines[1:]], "version 2 is not 1"),
        (
            lambda lines: [lines[0].replace('"change":"down"', '"change":"up"'), *lines[1:]],
            "unknown change 'up'",
        ),
        (lambda lines: [lines[0].replace('"a->z"', '"sideways"'), *lines[1:]], "not a valid Direction"),
        (lambda lines: ["[]", *lines[1:]], "not an object"),
        (lambda lines: ["\udcff", *lines[1:]], "decode"),
    ],
)
def test_other_damage_is_an_error_with_its_line(path, damage, said):
    with Ledger(path) as book:
        book.added(lease("a", HALVES[0]), stamp())
        book.added(lease("b", HALVES[1]), stamp())
        book.cleared("b", "lease", stamp())
    with open(path) as file:
        lines = damage(file.read().splitlines())
    with open(path, "w", errors="surrogateescape") as file:
        file.writelines(line + "\n" for line in lines)
    with pytest.raises(LabctlError) as caught:
        ledger.read(path)
    assert caught.value.code == "ledger-corrupt"
    assert str(caught.value.where).startswith(path + ":")
    if said:
        assert said in caught.value.message
    with pytest.raises(LabctlError):
        Ledger(path)


def test_clearing_what_is_not_active_is_damage(path):
    entry = {"version": 1, "seq": 1, "op": "cleared", "id": "ghost", "because": "x"}
    with open(path, "w") as file:
        file.write(json.dumps(entry) + "\n")
    with pytest.raises(LabctlError, match="ghost"):
        ledger.read(path)


def test_leases_end_at_their_deadline():
    leases = [lease("a", HALVES[0], until=10), lease("b", HALVES[1], until=20)]
    assert ledger.expired(leases, 9.99) == ()
    assert ledger.expired(leases, 10) == ("a",)
    assert ledger.expired(leases, 20) == ("a", "b")
    assert ledger.next_deadline(leases) == 10
    assert ledger.next_deadline([]) is None


def test_what_is_written_together_reads_back_like_what_is_written_one_by_one(path, tmp_path):
    other = str(tmp_path / "other.jsonl")
    with Ledger(path) as book, Ledger(other) as single:
        for each in (book, single):
            each.added(lease("old", NodeRef("r1")), stamp())
        with book.together():
            book.cleared("old", "request", stamp(2))
            book.added(lease("one", *HALVES), stamp(2))
            assert len(ledger.read(path).active) == 1  # nothing is on disk yet
        single.cleared("old", "request", stamp(2))
        single.added(lease("one", *HALVES), stamp(2))
    with open(path) as one, open(other) as two:
        assert one.read() == two.read()
    assert ledger.read(path).active.keys() == {"one"}


def test_entries_together_are_all_forgotten_when_one_of_them_cannot_be_made(path):
    with Ledger(path) as book:
        book.added(lease("old", NodeRef("r1")), stamp())

        def both():
            with book.together():
                book.cleared("old", "request", stamp(2))
                book.cleared("absent", "request", stamp(2))

        with pytest.raises(KeyError):
            both()
        assert book.active.keys() == {"old"}
        book.cleared("old", "request", stamp(3))
    assert ledger.read(path).active == {}
