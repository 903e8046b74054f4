"""Packet filters as nftables rules: what each kind of entry becomes, and that nft reads all of it."""

import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from labctl.ingest.ios import parse
from labctl.ingest.redact import Redactor
from labctl.render.packets import render_packets

TEXT = """\
interface Ethernet0
 ip address 10.0.1.1 255.255.255.0
 ip nat inside
 ip access-group EDGE in
 ip access-group 110 out
 vrrp 7 ip 10.0.1.254
interface Ethernet1
 ip address 198.51.100.1 255.255.255.0
 ip nat outside
 ip access-group NOWHERE in
ip nat pool P 198.51.100.20 198.51.100.30 prefix-length 24
ip nat inside source list 10 interface Ethernet1 overload
ip nat inside source list 11 pool P overload
ip nat inside source static tcp 10.0.1.9 80 198.51.100.1 8080
ip nat inside source static 10.0.1.8 198.51.100.8
access-list 10 deny 10.0.1.7
access-list 10 permit 10.0.1.0 0.0.0.255
access-list 11 permit 10.0.2.0 0.0.0.255
access-list 110 permit tcp any range 1 5 10.0.0.9 0.255.0.0 eq 22 established
access-list 110 permit icmp any any echo
access-list 110 permit ospf any any
access-list 110 permit udp any neq 53 any gt 1023
ip access-list extended EDGE
 deny tcp any any eq telnet
 permit ip any any
"""

SCRIPT = """\
table ip labctl-packets {
  chain list0 {
    # EDGE
    ip protocol tcp tcp dport { 23 } counter drop
    counter return
    counter drop
  }
  chain list1 {
    # 110
    ip daddr & 255.0.255.255 == 10.0.0.9 ip protocol tcp tcp sport { 1-5 } tcp dport { 22 } tcp flags & (ack | rst) != 0 counter return
    ip protocol icmp icmp type 8 counter return
    ip protocol 89 counter return
    ip protocol udp udp sport { 0-52, 54-65535 } udp dport { 1024-65535 } counter return
    counter drop
  }
  chain prerouting {
    type filter hook prerouting priority -310;
    iifname { "Ethernet0", "vr7-Ethernet0" } jump list0
  }
  chain forward {
    type filter hook forward priority 0;
    oifname { "Ethernet0", "vr7-Ethernet0" } jump list1
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    oifname { "Ethernet1" } ip saddr 10.0.1.9 tcp sport 80 snat to 198.51.100.1:8080
    oifname { "Ethernet1" } ip saddr 10.0.1.8 snat to 198.51.100.8
    oifname { "Ethernet1" } ip saddr 10.0.1.7/32 accept
    oifname { "Ethernet1" } ip saddr 10.0.1.0/24 snat to 198.51.100.1
    oifname { "Ethernet1" } ip saddr 10.0.2.0/24 snat to 198.51.100.20-198.51.100.30
  }
  chain translate {
    type nat hook prerouting priority -100;
    iifname { "Ethernet1" } ip daddr 198.51.100.1 tcp dport 8080 dnat to 10.0.1.9:80
    iifname { "Ethernet1" } ip daddr 198.51.100.8 dnat to 10.0.1.8
  }
}
"""


def config(text):
    return parse(text, file="r1.cfg", device="r1", redactor=Redactor()).config


def test_the_script():
    assert render_packets(config(TEXT)) == SCRIPT


def test_an_undefined_list_lets_everything_through():
    assert render_packets(config("interface Ethernet1\n ip access-group NOWHERE in\n")) == ""


def test_no_list_name_gets_out_of_its_comment():
    found = config(
        "interface Ethernet1\n ip access-group A in\nip access-list extended A\n permit ip any any\n"
    )
    (edge,) = found.packet_filters
    (port,) = found.interfaces
    odd = replace(
        found,
        packet_filters=(replace(edge, name="A\n}\nflush ruleset"),),
        interfaces=(replace(port, filter_in="A\n}\nflush ruleset"),),
    )
    assert "    # A } flush ruleset\n" in render_packets(odd)


@pytest.mark.root
def test_nft_reads_it(tmp_path):
    if shutil.which("nft") is None or os.geteuid() != 0:
        pytest.skip("needs nft and root")
    (tmp_path / "packets.nft").write_text(SCRIPT)
    done = subprocess.run(
        ["unshare", "-n", "nft", "-f", str(tmp_path / "packets.nft")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
