"""From one FRR configuration to another, in lines that FRR takes."""

from labctl.agent.config_diff import missing, parse, superfluous

BEFORE = """frr version 8.4.4
hostname r1
!
ip route 192.0.2.0/24 blackhole
!
interface eth1
 ip address 10.0.0.1/30
 ip ospf cost 7
exit
!
interface eth2
exit
!
router bgp 65001
 no bgp ebgp-requires-policy
 neighbor 10.0.0.2 remote-as 65002
 !
 address-family ipv4 unicast
  network 10.255.0.1/32
 exit-address-family
exit
!
end
"""
AFTER = """frr version 8.4.4
hostname r1
!
interface eth1
 description two words
 ip address 10.0.0.1/30
 ip ospf cost 99
exit
!
interface eth2
exit
!
router bgp 65001
 no bgp ebgp-requires-policy
 neighbor 10.0.0.9 remote-as 5
exit
!
ip prefix-list X seq 5 permit any
!
end
"""


def test_blocks_hold_their_lines():
    tree = parse(BEFORE)
    assert list(tree) == [
        "frr version 8.4.4",
        "hostname r1",
        "ip route 192.0.2.0/24 blackhole",
        "interface eth1",
        "interface eth2",
        "router bgp 65001",
    ]
    assert tree["hostname r1"].children is None
    assert tree["interface eth2"].children == {}
    family = tree["router bgp 65001"].children["address-family ipv4 unicast"]
    assert (list(family.children), family.end) == (["network 10.255.0.1/32"], "exit-address-family")


def test_what_is_missing_is_typed_in_its_block():
    assert missing(BEFORE, AFTER) == [
        "ip route 192.0.2.0/24 blackhole",
        "interface eth1",
        " ip ospf cost 7",
        "exit",
        "router bgp 65001",
        " neighbor 10.0.0.2 remote-as 65002",
        " address-family ipv4 unicast",
        "  network 10.255.0.1/32",
        " exit-address-family",
        "exit",
    ]


def test_what_is_too_much_is_negated_last_line_first():
    assert superfluous(BEFORE, AFTER) == [
        "no ip prefix-list X seq 5 permit any",
        "router bgp 65001",
        " no neighbor 10.0.0.9 remote-as 5",
        "exit",
        "interface eth1",
        " no ip ospf cost 99",
        " no description",
        "exit",
    ]
    assert superfluous("", "router ospf\n network 10.0.0.0/8 area 0\nexit\n") == ["no router ospf"]
    assert superfluous("a\n", "a\nno b c\n") == ["b c"]
    assert superfluous("", "banner motd x y\n", attempt=2) == ["no banner motd"]


def test_equal_texts_need_nothing():
    assert missing(BEFORE, BEFORE) == superfluous(BEFORE, BEFORE) == []
