"""A production to discover: the stand-in network of `labctl demo`, written out with fresh credentials.

The lab file and configurations are those in `topologies/demo/`; what a real network keeps secret (SNMP community and
keys, an SSH key) is made here, differently each time, together with the inventory that an operator would have. So the
demo discovers with credentials that exist nowhere else, and a test can look for them in everything that was written.
"""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from labctl.errors import LabctlError
from labctl.schema import clab

LAB = "demo-production"
STATION = "nms"  # the node that discovery runs from
SCENARIO = "core-cut.yml"  # of the library
MARK = ".labctl-demo"  # this directory was written here and may be written again

_SNMPD = """\
# Made by `labctl demo`: read-only, for the management station.
master agentx
agentXSocket /var/agentx/master
agentAddress udp:161
sysLocation site {site}
rocommunity {community}
createUser {user} SHA-256 "{auth}" AES "{priv}"
rouser {user} priv
"""

_INVENTORY = """\
# What an operator knows of the network: addresses and keys. Site a is asked by SNMP v2c, site b by v3.
defaults:
  ssh: {user: netops, key_file: access/id_ed25519, known_hosts: accept-new}
devices:
"""
_V2 = "snmp: {version: 2c, community: file:access/community}"
_V3 = "snmp: {version: 3, user: labctl, auth: sha256, auth_key: file:access/auth, priv: aes, priv_key: file:access/priv}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """Where the stand-in was written. `secrets`: what must appear in nothing that labctl writes elsewhere."""

    lab_file: str
    inventory: str
    secrets: tuple[str, ...]


def source() -> str:
    """The directory of the lab file: beside the package in a wheel, in `topologies/` of a source tree."""
    return os.path.dirname(lab_file())


def lab_file() -> str:
    return _installed("_demo", os.path.join("topologies", "demo"), "production.clab.yml")


def scenario() -> str:
    """The file of what the demo breaks."""
    return _installed("_scenarios", "scenarios", SCENARIO)


def _installed(beside: str, in_tree: str, name: str) -> str:
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for directory in (os.path.join(package, beside), os.path.join(os.path.dirname(package), in_tree)):
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            return path
    raise LabctlError(
        "file-not-found",
        f"the demo's {name} is not installed",
        hint="install labctl again, or run it from a clone",
    )


def write(into: str) -> StandIn:
    """Write the stand-in to the directory `into`, replacing only what an earlier demo wrote there."""
    if os.path.isdir(into):
        if os.listdir(into) and not os.path.exists(os.path.join(into, MARK)):
            raise LabctlError(
                "would-overwrite",
                f"{into} exists and was not written by `labctl demo`",
                hint="choose another directory with --out, or move it away",
            )
        shutil.rmtree(into)
    os.makedirs(into, mode=0o700)
    with open(os.path.join(into, MARK), "w", encoding="utf-8"):
        pass
    shutil.copytree(source(), into, dirs_exist_ok=True)
    access = os.path.join(into, "access")
    os.mkdir(access, 0o700)
    community, auth, priv = (secrets.token_urlsafe(18) for _ in range(3))
    public, private = _key_pair()
    _private(os.path.join(access, "community"), community)
    _private(os.path.join(access, "auth"), auth)
    _private(os.path.join(access, "priv"), priv)
    _private(os.path.join(access, "id_ed25519"), private)
    _private(os.path.join(access, "id_ed25519.pub"), public)
    os.chmod(os.path.join(access, "id_ed25519.pub"), 0o644)  # sshd reads it as the user it is for
    _private(
        os.path.join(access, "snmpd.conf"),
        _SNMPD.format(site="demo", community=community, user="labctl", auth=auth, priv=priv),
    )
    lab_file = os.path.join(into, "production.clab.yml")
    inventory = os.path.join(into, "inventory.yml")
    _private(inventory, _INVENTORY + "".join(_devices(lab_file)))
    return StandIn(lab_file=lab_file, inventory=inventory, secrets=(community, auth, priv, private))


def _devices(lab_file: str) -> list[str]:
    nodes = [node for node in clab.load(lab_file).nodes if node.name != STATION]
    return [
        f"  {node.name}: {{address: {node.mgmt_ipv4}, {_V3 if _in_site_b(node.name) else _V2}}}\n"
        for node in nodes
    ]


def _in_site_b(name: str) -> bool:
    return name.startswith("b-") or name == "web1"


def _key_pair() -> tuple[str, str]:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return public.decode() + " netops\n", private.decode()


def _private(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
