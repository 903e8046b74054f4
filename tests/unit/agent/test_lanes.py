"""Lanes against real threads. What must hold is said of the last look at each thing, never of how long it took."""

import random
import select
import threading
import time

import pytest

from labctl.agent.lanes import Job, Lanes


class World:
    """Things that are to be brought to a level, slowly; `level` may change at any time."""

    def __init__(self):
        self.level = {}
        self.found = {}
        self.busy = {}
        self.overlaps = 0
        self.follow = {}
        self.lanes = Lanes(self.work, lambda thing: thing[1])

    def work(self, thing):
        lane, _ = thing
        wanted = self.level.get(thing)
        self.overlaps += self.busy.get(lane, 0)
        self.busy[lane] = 1
        time.sleep(random.random() * 0.002)
        self.busy[lane] = 0
        self.found[thing] = wanted
        return (thing, wanted), self.follow.get(thing, ())

    def wait(self, *jobs):
        results = []
        while not all(job.done for job in jobs):
            select.select([self.lanes], [], [])
            results += self.lanes.collect()
        return results


@pytest.fixture
def world():
    made = World()
    yield made
    made.lanes.close()


def test_whatever_the_order_of_changes_the_last_level_is_made(world, seed):
    rng = random.Random(seed)
    things = [(f"lane{i % 3}", i) for i in range(9)]
    jobs = []
    for turn in range(300):
        thing = rng.choice(things)
        world.level[thing] = turn
        job = Job(set())
        world.lanes.submit(thing[0], [thing], job)
        jobs.append((job, thing, turn))
        if rng.random() < 0.1:
            world.lanes.collect()
    world.wait(*(job for job, _, _ in jobs))
    assert world.found == world.level
    assert world.overlaps == 0, "in one lane nothing overlaps"
    for job, thing, turn in jobs:
        assert any(of == thing and level >= turn for of, level in job.results), (
            "a look that began after it asked"
        )


def test_what_follows_from_a_thing_belongs_to_the_job(world):
    world.follow = {("a", 0): [("a", 1), ("a", 2)]}
    job = Job(set())
    world.lanes.submit("a", [("a", 0)], job)
    world.wait(job)
    assert [thing for thing, _ in job.results] == [("a", 0), ("a", 1), ("a", 2)]


def test_what_comes_first_goes_first_and_nothing_waits_twice(world):
    taken, gate = threading.Event(), threading.Event()
    looked = []

    def work(thing):
        taken.set()
        gate.wait()
        looked.append(thing)
        return thing, ()

    lanes = Lanes(work, lambda thing: thing)
    job = Job(set())
    lanes.submit("a", [9], job)
    taken.wait()
    for each in (3, 1, 2, 3, 1):
        lanes.submit("a", [each], job)
    gate.set()
    while not job.done:
        select.select([lanes], [], [])
        lanes.collect()
    lanes.close()
    assert looked == [9, 1, 2, 3]


def test_one_lane_does_not_wait_for_another(world):
    gate = threading.Event()

    def work(thing):
        if thing == "slow":
            gate.wait()
        return thing, ()

    lanes = Lanes(work, lambda _: 0)
    slow, quick = Job(set()), Job(set())
    lanes.submit("a", ["slow"], slow)
    lanes.submit("b", ["quick"], quick)
    while not quick.done:
        select.select([lanes], [], [])
        lanes.collect()
    assert not slow.done
    gate.set()
    while not slow.done:
        select.select([lanes], [], [])
        lanes.collect()
    lanes.close()


def test_what_nobody_expected_ends_the_loop_and_not_a_thread_in_silence(world):
    def work(_):
        raise ZeroDivisionError

    lanes = Lanes(work, lambda _: 0)
    lanes.submit("a", ["x"])
    select.select([lanes], [], [])
    with pytest.raises(ZeroDivisionError):
        lanes.collect()
