"""Inventories: what a file gives, where keys come from, and that they do not print."""

import pytest

from labctl.errors import LabctlError, render
from labctl.ingest import inventory

V3 = "version: 3, user: ops, auth: sha256, auth_key: authentic1, priv: aes, priv_key: private123"


def parse(text, *, file="inv.yml", env=None, **more):
    return inventory.parse(text, file=file, env=env or {}, **more)


def one(device, defaults="", **more):
    head = f"defaults: {defaults}\n" if defaults else ""
    (target,) = parse(f"{head}devices:\n  r1: {device}\n", **more)
    return target


def refused(text, **more):
    with pytest.raises(LabctlError) as error:
        parse(text, **more)
    return render(error.value)


def test_a_device_of_its_own():
    target = one("{address: 192.0.2.1, snmp: {community: c0mm, port: 1161, timeout: 0.5, retries: 1}}")
    assert (target.name, target.address, target.ssh) == ("r1", "192.0.2.1", None)
    assert (target.snmp.version, target.snmp.community.reveal()) == ("2c", "c0mm")
    assert (target.snmp.port, target.snmp.timeout_s, target.snmp.retries) == (1161, 0.5, 1)
    assert str(target.where) == "inv.yml:2:3"


def test_v3_with_context():
    snmp = one(f"{{address: r1.example.net, snmp: {{{V3}, context: vlan-7}}}}").snmp
    assert (snmp.version, snmp.user, snmp.auth, snmp.priv, snmp.context) == (
        "3",
        "ops",
        "sha256",
        "aes",
        "vlan-7",
    )
    assert (snmp.auth_key.reveal(), snmp.priv_key.reveal()) == ("authentic1", "private123")


def test_defaults_fill_what_a_device_leaves_out():
    target = one(
        "{address: 192.0.2.1, snmp: {community: mine}, ssh: {port: 2222}}",
        "{snmp: {version: 2c, community: theirs, timeout: 9}, ssh: {user: ops, password: pw}}",
    )
    assert (target.snmp.community.reveal(), target.snmp.timeout_s) == ("mine", 9)
    assert (target.ssh.user, target.ssh.port, target.ssh.known_hosts) == ("ops", 2222, "strict")


def test_keys_of_another_version_do_not_mix():
    target = one("{address: 192.0.2.1, snmp: {version: 2c, community: c}}", f"{{snmp: {{{V3}}}}}")
    assert (target.snmp.version, target.snmp.user, target.snmp.auth) == ("2c", "", None)


def test_none_switches_off():
    target = one("{address: 192.0.2.1, ssh: none}", "{snmp: {community: c}, ssh: {user: u, password: p}}")
    assert target.ssh is None
    assert target.snmp is not None


def test_keys_from_the_environment_and_from_files(tmp_path):
    (tmp_path / "pw").write_text("geheim\n")
    target = one(
        '{address: 192.0.2.1, snmp: {community: "${C}"}, ssh: {user: u, password: file:pw}}',
        env={"C": "fromenv"},
        file=str(tmp_path / "inv.yml"),
    )
    assert (target.snmp.community.reveal(), target.ssh.password.reveal()) == ("fromenv", "geheim")


def test_checking_a_file_needs_no_keys():
    target = one(
        '{address: 192.0.2.1, snmp: {community: "${C}"}, ssh: {user: u, key_file: none}}', keys=False
    )
    assert target.snmp is not None


def test_keys_do_not_print():
    target = one(f"{{address: 192.0.2.1, snmp: {{{V3}}}, ssh: {{user: u, password: geheim99}}}}")
    printed = repr(target) + str(target)
    assert not any(key in printed for key in ("authentic1", "private123", "geheim99"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "devices:\n  r1: {adress: 192.0.2.1, snmp: {community: c}}\n",
            "inv.yml:2:8  device r1 has no key 'adress'",
        ),
        ("devices:\n  r1: {snmp: {community: c}}\n", "inv.yml:2:3  device r1 has no address"),
        ("devices:\n  r1: {address: 192.0.2.300, snmp: {community: c}}\n", "bad-address"),
        ("devices:\n  r1: {address: 192.0.2.1}\n", "device r1 has neither snmp nor ssh"),
        ("devices:\n  r1: {address: 192.0.2.1, snmp: {version: 1, community: c}}\n", "'1' is not 2c or 3"),
        ("devices:\n  r1: {address: 192.0.2.1, snmp: {version: 3}}\n", "snmp of device r1 has no user"),
        (
            "devices:\n  r1: {address: 192.0.2.1, snmp: {user: u, auth: sha}}\n",
            "snmp of device r1 has no auth_key",
        ),
        (
            "devices:\n  r1: {address: 192.0.2.1, snmp: {user: u, priv: aes, priv_key: private123}}\n",
            "snmp of device r1 has no auth",
        ),
        (
            "devices:\n  r1: {address: 192.0.2.1, snmp: {user: u, auth: sh1, auth_key: longenough}}\n",
            "'sh1' is not known",
        ),
        (
            "devices:\n  r1: {address: 192.0.2.1, snmp: {user: u, auth: sha, auth_key: short}}\n",
            "shorter than 8",
        ),
        ("devices:\n  r1: {address: 192.0.2.1, snmp: {community: '${C}'}}\n", "the environment has no C"),
        (
            "devices:\n  r1: {address: 192.0.2.1, snmp: {community: file:nowhere}}\n",
            "cannot read the file 'nowhere'",
        ),
        ("devices:\n  r1: {address: 192.0.2.1, ssh: {user: u}}\n", "neither password nor key_file"),
        (
            "devices:\n  r1: {address: 192.0.2.1, ssh: {user: u, key_file: nowhere}}\n",
            "'nowhere' does not exist",
        ),
        ("defaults: {snnp: {}}\ndevices: {}\n", "defaults has no key 'snnp'"),
        ("defaults: {}\n", "an inventory has devices below its key 'devices'"),
        ("devices:\n", "an inventory has devices below its key 'devices'"),
        ("devices: {}\n", "an inventory has devices below its key 'devices'"),
        ("devices: [r1]\n", "bad-value"),
    ],
)
def test_mistakes_have_a_place(text, said):
    assert said in refused(text)


def test_every_mistake_of_a_file_at_once():
    said = refused("devices:\n  r1: {adress: 1}\n  r2: {address: x y, snmp: {version: 7, community: c}}\n")
    assert said.count("error: ") == 5


def test_a_refused_key_is_not_printed():
    assert "tooshrt" not in refused(
        "devices:\n  r1: {address: 192.0.2.1, snmp: {user: u, auth: sha, auth_key: tooshrt}}\n"
    )
