"""The inventory: which devices to ask, where, and with which keys. A YAML file, read strictly.

    defaults:
      snmp: {version: 3, user: labctl, auth: sha, auth_key: "${SNMP_AUTH}", priv: aes, priv_key: file:keys/priv}
      ssh: {user: netops, key_file: keys/id_ed25519, known_hosts: keys/known_hosts}
    devices:
      core1: {address: 192.0.2.1}
      old-switch:
        address: 192.0.2.9
        snmp: {version: 2c, community: "${COMMUNITY}"}
        ssh: none

A device takes each of `snmp` and `ssh` whole from the defaults or whole from itself with the same version, key by key;
`none` switches one off. Keys, passwords and communities may stand in the file, in the environment (`${NAME}`) or in a
file of their own (`file:PATH`); paths are relative to the inventory. `Secret` keeps them out of every text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from labctl.errors import LabctlError, Problems, Span
from labctl.schema import infile, yaml
from labctl.schema.fields import decimal, integer, mapping, text, unknown_keys

AUTH: Final = ("md5", "sha", "sha224", "sha256", "sha384", "sha512")
PRIV: Final = ("des", "3des", "aes", "aes192", "aes256", "aes192c", "aes256c")
DIALECTS: Final = ("frr", "linux", "ios", "eos")
_ENV: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


class Secret:
    """A key that does not print: only `reveal()` gives it away, to the library that needs it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class SnmpAccess:
    """How to ask a device over SNMP. auth and priv None: that level of security is not used."""

    version: str  # "2c" or "3"
    community: Secret | None = None
    user: str = ""
    auth: str | None = None
    auth_key: Secret | None = None
    priv: str | None = None
    priv_key: Secret | None = None
    context: str = ""
    port: int = 161
    timeout_s: float = 2.0
    retries: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SshAccess:
    """How to log in. known_hosts: a file that must have the device's key, or "accept-new", or "ignore"."""

    user: str
    password: Secret | None = None
    key_file: str | None = None
    key_passphrase: Secret | None = None
    port: int = 22
    known_hosts: str = "strict"
    timeout_s: float = 15.0
    dialect: str = ""  # one of DIALECTS, what the device is; empty: found out


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One device of the inventory."""

    name: str
    address: str
    snmp: SnmpAccess | None
    ssh: SshAccess | None
    where: Span


_SNMP_KEYS: Final = frozenset(
    {
        "version",
        "community",
        "user",
        "auth",
        "auth_key",
        "priv",
        "priv_key",
        "context",
        "port",
        "timeout",
        "retries",
    }
)
_SSH_KEYS: Final = frozenset(
    {"user", "password", "key_file", "key_passphrase", "port", "known_hosts", "timeout", "dialect"}
)
_DEVICE_KEYS: Final = frozenset({"address", "snmp", "ssh"})


def load(path: str, env: Mapping[str, str] | None = None, *, keys: bool = True) -> tuple[Target, ...]:
    """The devices of an inventory file; every mistake in it at once. keys: also fetch what `${…}` and `file:` name."""
    return parse(yaml.read_text(path), file=path, env=os.environ if env is None else env, keys=keys)


def parse(content: str, *, file: str, env: Mapping[str, str], keys: bool = True) -> tuple[Target, ...]:
    problems = Problems()
    root = mapping(yaml.parse(content, file=file), "the inventory", problems)
    problems.stop()
    assert root is not None
    reader = FieldReader(problems, os.path.dirname(os.path.abspath(file)), env, keys)
    targets = reader.inventory(root)
    problems.stop()
    return targets


def is_inventory(content: str) -> bool:
    """Is this text an inventory? It has a `devices` key at the top."""
    return re.search(r"^devices\s*:", content, re.MULTILINE) is not None


class FieldReader:
    """Reads fields into access records; `merged` maps hold a device's own keys before the defaults'."""

    def __init__(self, problems: Problems, directory: str, env: Mapping[str, str], keys: bool) -> None:
        self._keys = keys
        self._problems = problems
        self._directory = directory
        self._env = env

    def inventory(self, root: yaml.Map) -> tuple[Target, ...]:
        unknown_keys(root, {"defaults", "devices"}, "an inventory", self._problems)
        defaults = mapping(root.get("defaults"), "defaults", self._problems)
        if defaults is not None:
            unknown_keys(defaults, {"snmp", "ssh"}, "defaults", self._problems)
        said = root.get("devices")
        devices = mapping(said, "devices", self._problems)
        nothing = said is None or (isinstance(said, yaml.Scalar) and said.is_null)
        if nothing or (devices is not None and not devices.entries):
            # an inventory of nobody would read as a production that is gone
            self._problems.add(
                "missing-key",
                "an inventory has devices below its key 'devices'",
                where=said.span if said else root.span,
                hint="devices: {r1: {address: 192.0.2.1}}",
            )
        if devices is None:
            return ()
        return tuple(target for entry in devices if (target := self._device(entry, defaults)))

    def _device(self, entry: yaml.Entry, defaults: yaml.Map | None) -> Target | None:
        fields = mapping(entry.value, f"device {entry.key}", self._problems)
        if fields is None:
            return None
        unknown_keys(fields, _DEVICE_KEYS, f"device {entry.key}", self._problems)
        address = self._address(entry, fields)
        snmp = self._access("snmp", _SNMP_KEYS, fields, defaults)
        ssh = self._access("ssh", _SSH_KEYS, fields, defaults)
        if snmp is None and ssh is None:
            self._problems.add(
                "missing-key",
                f"device {entry.key} has neither snmp nor ssh",
                where=entry.span,
                hint="give one of them, here or under defaults",
            )
        read_snmp = self._snmp(entry, snmp) if snmp is not None else None
        read_ssh = self._ssh(entry, ssh) if ssh is not None else None
        if address is None:
            return None
        return Target(name=entry.key, address=address, snmp=read_snmp, ssh=read_ssh, where=entry.span)

    def _address(self, entry: yaml.Entry, fields: yaml.Map) -> str | None:
        value = fields.get("address")
        said = text(value, "address", self._problems)
        if value is None:
            self._problems.add("missing-key", f"device {entry.key} has no address", where=entry.span)
            return None
        if said is None:
            return None
        try:
            return str(ip_address(said))
        except ValueError:
            if _HOST.fullmatch(said) and not re.fullmatch(r"[\d.]+", said):
                return said
        self._problems.add(
            "bad-address",
            f"{said!r} is neither an address nor a host name",
            where=value.span,
            hint="write it like `192.0.2.1` or `core1.example.net`",
        )
        return None

    def _access(
        self, key: str, known: frozenset[str], fields: yaml.Map, defaults: yaml.Map | None
    ) -> dict[str, yaml.Entry] | None:
        """The keys of `snmp` or `ssh`: the device's own, then the defaults'. None: not at all."""
        own, default = fields.get(key), defaults.get(key) if defaults is not None else None
        if own is None and default is None:
            return None
        found: dict[str, yaml.Entry] = {}
        if isinstance(own, yaml.Scalar) and own.text == "none":
            return None
        for value in (own, default):
            if value is None or (isinstance(value, yaml.Scalar) and value.text == "none"):
                continue
            given = mapping(value, key, self._problems)
            if given is None:
                continue
            if value is not default or own is None:
                unknown_keys(given, known, key, self._problems)
            if key == "snmp" and found.get("version") and _version(found) != _version(given.entries):
                continue  # keys of another version do not mix
            for each in given:
                found.setdefault(each.key, each)
        return found or None

    def _snmp(self, entry: yaml.Entry, given: dict[str, yaml.Entry]) -> SnmpAccess | None:
        version = _version(given)
        if version not in ("2c", "3"):
            where = given["version"].value.span
            self._problems.add("bad-value", f"SNMP version {version!r} is not 2c or 3", where=where)
            return None
        needed = ("community",) if version == "2c" else ("user",)
        self._need(entry, "snmp", given, needed)
        for one, other in (
            ("auth", "auth_key"),
            ("auth_key", "auth"),
            ("priv", "priv_key"),
            ("priv_key", "priv"),
        ):
            if version == "3" and one in given:
                self._need(entry, "snmp", given, (other,))
        if version == "3" and "priv" in given:
            self._need(entry, "snmp", given, ("auth",))
        return SnmpAccess(
            version=version,
            community=self.secret(given, "community"),
            user=self._text(given, "user"),
            auth=self._choice(given, "auth", AUTH),
            auth_key=self.secret(given, "auth_key", at_least=8),
            priv=self._choice(given, "priv", PRIV),
            priv_key=self.secret(given, "priv_key", at_least=8),
            context=self._text(given, "context"),
            port=self._integer(given, "port", 1, 65535, 161),
            timeout_s=self._seconds(given, "timeout", 2.0),
            retries=self._integer(given, "retries", 0, 10, 2),
        )

    def _ssh(self, entry: yaml.Entry, given: dict[str, yaml.Entry]) -> SshAccess:
        self._need(entry, "ssh", given, ("user",))
        if "password" not in given and "key_file" not in given:
            self._problems.add(
                "missing-key",
                f"ssh of device {entry.key} has neither password nor key_file",
                where=entry.span,
            )
        key_file = self._path(given, "key_file")
        known = self._text(given, "known_hosts") or "strict"
        if known not in ("accept-new", "ignore", "strict"):
            known = self._path(given, "known_hosts") or known
        return SshAccess(
            user=self._text(given, "user"),
            password=self.secret(given, "password"),
            key_file=key_file,
            key_passphrase=self.secret(given, "key_passphrase"),
            port=self._integer(given, "port", 1, 65535, 22),
            known_hosts=known,
            timeout_s=self._seconds(given, "timeout", 15.0),
            dialect=self._choice(given, "dialect", DIALECTS) or "",
        )

    # -- fields -------------------------------------------------------------------------------------------------

    def _need(
        self, entry: yaml.Entry, what: str, given: dict[str, yaml.Entry], keys: tuple[str, ...]
    ) -> None:
        for key in keys:
            if key not in given:
                self._problems.add(
                    "missing-key", f"{what} of device {entry.key} has no {key}", where=entry.span
                )

    def _text(self, given: dict[str, yaml.Entry], key: str) -> str:
        return (text(given[key].value, key, self._problems) or "") if key in given else ""

    def _integer(self, given: dict[str, yaml.Entry], key: str, low: int, high: int, default: int) -> int:
        if key not in given:
            return default
        found = integer(given[key].value, key, self._problems, low=low, high=high)
        return default if found is None else found

    def _seconds(self, given: dict[str, yaml.Entry], key: str, default: float) -> float:
        if key not in given:
            return default
        found = decimal(given[key].value, key, self._problems)
        return found or default

    def _choice(self, given: dict[str, yaml.Entry], key: str, choices: tuple[str, ...]) -> str | None:
        said = self._text(given, key).lower()
        if not said:
            return None
        if said not in choices:
            self._problems.add(
                "bad-value",
                f"{key} {said!r} is not known",
                where=given[key].value.span,
                hint="known: " + ", ".join(choices),
            )
        return said

    def _path(self, given: dict[str, yaml.Entry], key: str) -> str | None:
        said = self._text(given, key)
        if not said:
            return None
        path = os.path.join(self._directory, os.path.expanduser(said))
        if self._keys and not os.path.isfile(path):
            self._problems.add(
                "file-not-found", f"{key} {said!r} does not exist", where=given[key].value.span
            )
        return path

    def secret(self, given: dict[str, yaml.Entry], key: str, *, at_least: int = 1) -> Secret | None:
        said = self._text(given, key)
        if not said:
            return None
        where = given[key].value.span
        value: str | None = said
        elsewhere = said.startswith("file:") or _ENV.fullmatch(said)
        if elsewhere and not self._keys:
            return Secret("")
        if said.startswith("file:"):
            value = self._file(said[5:], key, where)
        elif (match := _ENV.fullmatch(said)) is not None:
            value = self._env.get(match[1])
            if value is None:
                self._problems.add(
                    "missing-secret",
                    f"{key}: the environment has no {match[1]}",
                    where=where,
                    hint=f"export {match[1]}=…",
                )
        if value is None:
            return None
        if len(value) < at_least:
            self._problems.add(
                "bad-value",
                f"{key} is shorter than {at_least} characters, which SNMPv3 does not allow",
                where=where,
            )
            return None
        return Secret(value)

    def _file(self, said: str, key: str, where: Span) -> str | None:
        path = os.path.join(self._directory, os.path.expanduser(said))
        try:
            return infile.read(path, limit=infile.SECRET).decode().strip()
        except (LabctlError, UnicodeDecodeError):
            self._problems.add("missing-secret", f"{key}: cannot read the file {said!r}", where=where)
            return None


def _version(given: Mapping[str, yaml.Entry]) -> str:
    """The SNMP version that is meant: stated, else told by the keys."""
    stated = given.get("version")
    if stated is not None and isinstance(stated.value, yaml.Scalar):
        return stated.value.text.removeprefix("v")
    return "3" if "user" in given else "2c"
