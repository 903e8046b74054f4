from labctl.analyze.routes import Tables, compare, compare_own, compare_sessions, renamed
from labctl.model.routes import Adjacency, NextHop, Route


def route(prefix, protocol="ospf", *hops, **more):
    return Route(
        prefix=prefix,
        protocol=protocol,
        next_hops=frozenset(NextHop(*h) for h in hops),
        **{"metric": 20, **more},
    )


WAY1, WAY2 = ("10.0.12.2", "eth1"), ("10.0.13.3", "eth2")


def tables(*routes, node="r1", **more):
    return Tables(routes={node: routes}, **more)


def difference(production, shadow, **more):
    compared = compare(tables(*production), tables(*shadow, **more))
    assert len(compared.differences) == 1
    return compared.differences[0]


def test_ecmp_is_a_set():
    one = tables(route("10.0.23.0/24", "ospf", WAY1, WAY2))
    other = tables(route("10.0.23.0/24", "ospf", WAY2, WAY1))
    result = compare(one, other)
    assert (result.compared, result.equal, result.share, result.differences) == (1, 1, 1.0, ())


def test_what_is_left_out_is_counted_by_reason():
    real = (
        route("10.9.0.0/16", "ospf", WAY1),
        route("10.9.0.0/16", "static", WAY2, selected=False),
        route("10.1.1.1/32", "local", ("", "eth1")),
        route("fe80::/64", "connected", ("", "eth1")),
        route("172.20.20.0/24", "connected", ("", "ma1")),
        route("0.0.0.0/0", "kernel", ("172.20.20.1", "eth0")),
    )
    result = compare(
        tables(*real, management=("172.20.20.0/24",)), tables(route("10.9.0.0/16", "ospf", WAY1))
    )
    assert (result.compared, result.equal) == (1, 1)
    assert result.ignored == (("link-local", 1), ("management", 2), ("not selected", 1), ("own addresses", 1))


def test_a_node_that_could_not_be_asked_is_unread_and_not_equal():
    production = Tables(routes={"r1": (route("10.9.0.0/16", "ospf", WAY1),), "r2": None, "r3": ()})
    shadow = Tables(routes={"r1": (route("10.9.0.0/16", "ospf", WAY1),), "r2": ()})
    result = compare(production, shadow)
    assert (result.nodes, result.compared, result.unread) == (1, 1, ("r2",))
    assert (result.only_production, result.only_shadow) == (("r3",), ())


def test_no_route_compared_is_no_share():
    assert compare(Tables(routes={}), Tables(routes={})).share is None


def test_missing_because_the_session_is_down():
    down = Adjacency(kind="bgp", node="r1", peer="10.0.12.2", state="Active")
    found = difference(
        [route("10.9.0.0/16", "bgp", WAY1), route("10.8.0.0/16", "ospf", ("10.0.12.9", "eth1"))],
        [route("10.8.0.0/16", "ospf", ("10.0.12.9", "eth1"))],
        adjacencies=(down,),
    )
    assert (found.kind, found.prefix) == ("missing", "10.9.0.0/16")
    assert found.reason == "not up in the shadow: bgp r1 to 10.0.12.2: Active"


def test_missing_because_nothing_goes_through_its_interface():
    found = difference([route("10.9.0.0/16", "ospf", WAY1)], [])
    assert found.reason == "nothing goes through eth1 in the shadow: link missing or down"


def test_missing_connected_and_extra():
    found = difference([route("10.0.12.0/24", "connected", ("", "eth1"))], [])
    assert found.reason == "eth1 has no such address in the shadow, or no carrier"
    found = difference([], [route("10.9.0.0/16", "bgp", WAY1)])
    assert (found.kind, found.reason) == (
        "extra",
        "production's r1 has no such route; the shadow learns it by bgp",
    )


def test_another_protocol_says_the_distances():
    found = difference(
        [route("10.9.0.0/16", "bgp", WAY1, distance=20)], [route("10.9.0.0/16", "ospf", WAY1, distance=110)]
    )
    assert (found.kind, found.reason) == (
        "protocol",
        "production uses bgp (distance 20), the shadow ospf (distance 110)",
    )


def test_other_next_hops_and_why():
    def why(production, shadow):
        found = difference([production], [shadow])
        assert found.kind == "next-hops"
        return found.reason

    both, one = route("10.9.0.0/16", "ospf", WAY1, WAY2), route("10.9.0.0/16", "ospf", WAY1)
    assert why(both, one) == "1 of 2 equal paths missing in the shadow"
    assert why(one, both) == "1 equal paths more in the shadow"
    assert why(one, route("10.9.0.0/16", "ospf", WAY2)) == "another path at the same cost"
    assert why(one, route("10.9.0.0/16", "ospf", ("10.0.12.9", "eth1"))) == "same interface, other gateway"
    other = route("10.9.0.0/16", "ospf", WAY2, metric=30)
    assert why(one, other) == "metric 20 in production, 30 in the shadow: a cost on the way differs"


def test_a_blackhole_is_not_nothing():
    real, copy = (
        route("10.9.0.0/16", "static", kind="blackhole"),
        route("10.9.0.0/16", "static", kind="unreachable"),
    )
    assert difference([real], [copy]).kind == "next-hops"


def test_prefixes_are_in_the_order_of_numbers():
    result = compare(
        tables(*(route(p, "ospf", WAY1) for p in ("10.10.0.0/16", "10.9.0.0/16", "2001:db8::/32"))), tables()
    )
    assert [d.prefix for d in result.differences] == ["10.9.0.0/16", "10.10.0.0/16", "2001:db8::/32"]


def test_interfaces_take_productions_names():
    (renamed_,) = renamed([route("10.9.0.0/16", "ospf", WAY1, WAY2)], {"eth1": "GigabitEthernet0/1"})
    assert renamed_.next_hops == {NextHop("10.0.12.2", "GigabitEthernet0/1"), NextHop("10.0.13.3", "eth2")}


def test_a_device_that_names_no_interface_is_compared_by_what_the_protocol_gave():
    real = route("10.9.0.0/16", "bgp", ("10.255.0.2", ""))
    copy = route("10.9.0.0/16", "bgp", WAY1, announced=frozenset({NextHop("10.255.0.2")}))
    assert compare(tables(real), tables(copy)).equal == 1
    assert compare(tables(real), tables(route("10.9.0.0/16", "bgp", WAY1))).equal == 0


def test_own_addresses_are_those_that_production_lists():
    def own(*each, node="r1"):
        return Tables(routes={node: ()}, own={node: tuple(route(p, "local", ("", i)) for p, i in each)})

    real = own(("10.0.0.1/32", "eth1"), ("10.0.1.1/32", "eth2"), ("10.0.2.1/32", "eth3"))
    count, differences = compare_own(
        real, own(("10.0.0.1/32", "eth1"), ("10.0.1.1/32", "eth9"), ("10.3.3.3/32", "lo"))
    )
    assert count == 3
    assert [(d.prefix, d.kind, d.shadow is None) for d in differences] == [
        ("10.0.1.1/32", "own-address", False),
        ("10.0.2.1/32", "own-address", True),
    ]


def test_sessions_are_compared_by_what_their_states_mean():
    def sessions(**states):
        up = ("FULL", "Full", "Established")
        return Tables(
            routes={"r1": ()},
            adjacencies=tuple(
                Adjacency(
                    kind=name.partition("_")[0], node="r1", peer=name, state=state, up=state.startswith(up)
                )
                for name, state in states.items()
            ),
        )

    real = sessions(
        ospf_a="FULL/DR", ospf_b="EXSTART/BDR", ospf_c="FULL/-", bgp_a="Idle", bgp_b="Established"
    )
    copy = sessions(ospf_a="Full/Backup", ospf_b="Exchange/DR", bgp_a="Active", bgp_b="Connect")
    asked = {("r1", "ospf"), ("r1", "bgp")}
    count, differences, alike = compare_sessions(real, copy, asked)
    assert (count, [d.peer for d in differences]) == (5, ["bgp_b", "ospf_c"])
    assert [a.peer for a in alike] == ["bgp_a", "ospf_b"]
    assert compare_sessions(real, copy, {("r1", "bgp")})[0] == 2
