"""What is taken out of lines that no parser took apart."""

import pytest

from labctl.ingest.redact import Redactor, plain, scrub


@pytest.mark.parametrize(
    "line",
    [
        "enable password 8 hunter2",
        "username bob secret 5 hunter2",
        "snmp-server community hunter2 ro",
        "snmp-server host 10.0.0.1 version 2c hunter2",
        "snmp-server user bob grp v3 auth sha hunter2 priv aes hunter2",
        "tacacs-server key hunter2",
        "key-string 7 hunter2",
        "ntp authentication-key 1 md5 hunter2",
        "  isis password hunter2",
        "crypto isakmp pre-shared-key hunter2",
        "some thing with Token hunter2",
    ],
)
def test_a_telling_word_takes_the_rest_of_the_line(line):
    assert "hunter2" not in scrub(line)
    assert scrub(line) != line


@pytest.mark.parametrize("line", ["net 49.0001", "match community BLUE", "is-type level-2-only"])
def test_other_lines_stay(line):
    assert scrub(line) == line


def test_clean_takes_known_secrets_out_of_free_text():
    redactor = Redactor()
    redactor.token("hunter2")
    redactor.token("abc")
    assert redactor.clean("key is hunter2, not abc") == "key is <key 1>, not abc"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("neighbor 10.0.0.1 pasword hunter2", "neighbor 10.0.0.1 …"),
        ("neighbor 10.0.0.1 hunter2", "neighbor 10.0.0.1 …"),
        ("neighbor 2001:db8::1 remote-as 65001 hunter2", "neighbor 2001:db8::1 remote-as 65001 …"),
        ("ip ospf mesage-digest-key 1 md5 hunter2", "ip ospf …"),
        ("ip ospf message-digest-ky 1 hunter2", "ip ospf …"),
        ("ip ospf authentication-key hunter2", "ip ospf authentication-key <removed>"),
        ("secert 5 123456", "…"),
        ("hunter2", "…"),
        ("123456", "…"),
        ("community hunter2", "community …"),
        ("  password", "password"),
        ("mpls ldp", "mpls ldp"),
        ("interface eth1.100 area 0.0.0.0 mtu 9000", "interface eth1.100 area 0.0.0.0 mtu 9000"),
        ("route-target import 65000:100", "route-target import 65000:100"),
        ("", ""),
    ],
)
def test_a_line_that_nobody_knows_is_shown_up_to_what_may_be_a_secret(line, shown):
    assert plain(line) == shown
