"""Answers over SSH: log in, ask a few commands that only read, bring back their texts.

What a device is gets found out by asking, unless the inventory says it: a `vtysh` that shows its running configuration
makes it FRR, `ip -j address` alone makes it a Linux host, and what neither is says in `show version` whether it is IOS
or EOS. Host keys are checked against a file (`strict`, the default, with the user's own
known_hosts), or learned on first use into the run's memory (`accept-new`), or not at all (`ignore`, said each time).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import paramiko

from labctl.errors import LabctlError
from labctl.ingest.inventory import SshAccess, Target
from labctl.linux import netns
from labctl.schema import infile

CONCURRENCY: Final = 16
logging.getLogger("paramiko").addHandler(
    logging.NullHandler()
)  # what it has to say is said as an error of ours
MAX_BYTES: Final = 64 * 1024 * 1024  # of one answer: a device that says more never ends
PATIENCE: Final = 60  # an answer may take so many times as long as a device may be silent

#: dialect -> how `show version` of such a device is told
_VERSIONS: Final = {"ios": "Cisco IOS", "eos": "Arista"}
RUNNING_CONFIG: Final = "running-config"
#: A device that sends no exit status says so in words.
_REFUSED: Final = re.compile(
    r"\A\s*(?:\^\s*)?(?:% ?(?:Invalid|Unknown|Incomplete|Ambiguous|Authorization)|Line has invalid)"
)

#: name of the text, as `linux_host.FILES` has it -> command. They read and change nothing.
COMMANDS: Final = {
    "frr.conf": "vtysh -c 'show running-config'",
    "ip-addr.json": "ip -j address",
    "ip-route.json": "ip -j route",
    "ip-route6.json": "ip -6 -j route",
    "hostname": "hostname",
    "sysctl": "/sbin/sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What one device answered, by question; one that failed is absent. dialect: what it turned out to be."""

    target: Target
    texts: dict[str, str]
    dialect: str = ""
    error: LabctlError | None = None


#: Puts its questions to a device: (answers by name, dialect of the device)
Ask: TypeAlias = "Callable[[Session, Target], tuple[dict[str, str], str]]"


def collect(
    targets: Sequence[Target],
    *,
    ask: Ask | None = None,
    inside: str | None = None,
    done: Callable[[Texts], None] = lambda _: None,
    concurrency: int = CONCURRENCY,
) -> list[Texts]:
    """Ask all targets that have SSH access; in their order. `inside`: the path of a network namespace.

    ask: what is asked; without it the configuration.
    """
    asked = [target for target in targets if target.ssh is not None]

    def one(target: Target) -> Texts:
        answer = _answered(target, inside, ask or configuration)
        done(answer)
        return answer

    with ThreadPoolExecutor(
        max_workers=max(1, min(concurrency, len(asked))), thread_name_prefix="ssh"
    ) as pool:
        return list(pool.map(one, asked))


def configuration(session: Session, target: Target) -> tuple[dict[str, str], str]:
    """What a device is configured to do, and what the device is; no answers if it is nothing that is known here."""
    stated = target.ssh.dialect if target.ssh else ""
    if stated not in _VERSIONS:
        texts = {name: said for name, command in COMMANDS.items() if (said := session.run(command))}
        if texts.keys() & {"frr.conf", "ip-addr.json"}:
            return texts, "frr" if "frr.conf" in texts else "linux"
        if stated:
            return {}, stated
        version = session.run("show version") or ""
        stated = next((dialect for dialect, word in _VERSIONS.items() if word in version), "")
    said = session.run("show running-config") if stated else ""
    return ({RUNNING_CONFIG: said} if said else {}), stated


def _answered(target: Target, inside: str | None, ask: Ask) -> Texts:
    access = target.ssh
    assert access is not None
    try:
        with Session(lambda: _connect(target, access, inside), access.timeout_s) as session:
            texts, dialect = ask(session, target)
    except (LabctlError, OSError, EOFError, paramiko.SSHException, _UnknownHostKey, _Endless) as error:
        return Texts(target=target, texts={}, error=_explain(target, access, error))
    if texts:
        return Texts(target=target, texts=texts, dialect=dialect)
    said, hint = _SILENT if dialect in _VERSIONS else _UNKNOWN
    return Texts(
        target=target,
        texts={},
        dialect=dialect,
        error=_failure(target, "device-refused", said, hint.format(user=access.user)),
    )


_UNKNOWN: Final = (
    "neither vtysh nor ip is known or allowed there, nor is it IOS or EOS",
    "check the rights of {user}: is it in the groups frr and frrvty?",
)
_SILENT: Final = (
    "it does not answer what it is asked",
    "check the rights of {user}: `show running-config` needs privilege level 15",
)


class Session:
    """A login on one device. Cisco IOS ends the connection behind each command: then there is another login."""

    def __init__(self, connect: Callable[[], paramiko.SSHClient], timeout_s: float) -> None:
        self._connect = connect
        self._timeout_s = timeout_s
        self._client = connect()
        self._used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def run(self, command: str) -> str | None:
        """The output of a command; None if it did not succeed."""
        try:
            said = self._once(command)
        except (OSError, EOFError, paramiko.SSHException):
            if not self._used:
                raise
            self._client.close()
            self._client = self._connect()
            said = self._once(command)
        self._used = True
        return said

    def _once(self, command: str) -> str | None:
        _, out, _err = self._client.exec_command(command, timeout=self._timeout_s)
        text = self._read(out.channel, command).decode("utf-8", "replace").replace("\r\n", "\n")
        # asking for a status that never comes would wait for ever; -1: the device sends none
        told = out.channel.status_event.wait(self._timeout_s)
        status = out.channel.recv_exit_status() if told else -1
        return text if status in (0, -1) and not _REFUSED.match(text) else None

    def _read(self, channel: paramiko.Channel, command: str) -> bytes:
        """All of an answer. One that drips or that never ends would hold up everybody who waits for this device."""
        said = bytearray()
        until = time.monotonic() + PATIENCE * self._timeout_s
        while chunk := channel.recv(1 << 16):
            said += chunk
            if len(said) > MAX_BYTES:
                raise _Endless(f"its answer to `{command}` is longer than {MAX_BYTES >> 20} MB")
            if time.monotonic() > until:
                raise _Endless(
                    f"its answer to `{command}` had not ended after {PATIENCE * self._timeout_s:g} s"
                )
        return bytes(said)


def _explain(target: Target, access: SshAccess, error: Exception) -> LabctlError:
    """The error a user reads. No text of the library that could hold a key."""
    if isinstance(error, LabctlError):
        return error
    if isinstance(error, paramiko.BadHostKeyException):
        return _failure(
            target, "device-refused", "its host key is not the one in known_hosts", _HOST_KEY_HINT
        )
    if isinstance(error, _UnknownHostKey):
        return _failure(
            target, "device-refused", f"its host key ({error}) is not in known_hosts", _HOST_KEY_HINT
        )
    if isinstance(error, paramiko.AuthenticationException):
        return _failure(
            target,
            "device-refused",
            f"the SSH login of {access.user} was refused",
            "check user, key_file and password; what this device reported before is kept",
        )
    if isinstance(error, _Endless):
        return _failure(
            target,
            "device-unreachable",
            str(error),
            "what it said is not taken; what it reported before is kept",
        )
    said = (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
    return _failure(
        target,
        "device-unreachable",
        f"no SSH session on port {access.port}: {said}",
        "it is down or filtered; what it reported before is kept",
    )


_HOST_KEY_HINT: Final = (
    "compare the key with the device's; add it with ssh-keyscan, or set known_hosts: accept-new"
)


def _failure(target: Target, code: str, said: str, hint: str) -> LabctlError:
    return LabctlError(code, f"{target.name} ({target.address}): {said}", where=target.where, hint=hint)


class _Endless(Exception):  # noqa: N818  (a condition to handle)
    pass


class _UnknownHostKey(Exception):  # noqa: N818  (a condition to handle)
    pass


class _Refuse(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, key: paramiko.PKey) -> None:
        raise _UnknownHostKey(f"{key.get_name()} {key.fingerprint}")


class _Accept(paramiko.MissingHostKeyPolicy):
    """Take the key as it is; the connection keeps it for this run only, nothing is written."""

    def missing_host_key(self, _client: paramiko.SSHClient, _hostname: str, _key: paramiko.PKey) -> None:
        return


def _connect(target: Target, access: SshAccess, inside: str | None) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    match access.known_hosts:
        case "accept-new":
            _load_own_known_hosts(client)
            client.set_missing_host_key_policy(_Accept())
        case "ignore":
            client.set_missing_host_key_policy(_Accept())
        case "strict":
            _load_own_known_hosts(client)
            client.set_missing_host_key_policy(_Refuse())
        case path:
            client.load_host_keys(path)
            client.set_missing_host_key_policy(_Refuse())
    try:
        client.connect(
            target.address,
            access.port,
            username=access.user,
            password=access.password.reveal() if access.password else None,
            pkey=_key(target, access),
            allow_agent=False,
            look_for_keys=False,
            timeout=access.timeout_s,
            banner_timeout=access.timeout_s,
            auth_timeout=access.timeout_s,
            sock=_socket(target, access, inside),
        )
    except BaseException:
        client.close()
        raise
    return client


def _load_own_known_hosts(client: paramiko.SSHClient) -> None:
    path = os.path.expanduser("~/.ssh/known_hosts")
    if os.path.isfile(path):
        client.load_host_keys(path)


def _socket(target: Target, access: SshAccess, inside: str | None) -> socket.socket:
    """A connected socket made inside the namespace: it stays there, whichever thread uses it."""
    with netns.inside(inside) if inside else contextlib.nullcontext():
        return socket.create_connection((target.address, access.port), timeout=access.timeout_s)


def _key(target: Target, access: SshAccess) -> paramiko.PKey | None:
    if access.key_file is None:
        return None
    passphrase = access.key_passphrase.reveal() if access.key_passphrase else None
    try:
        text = infile.text(access.key_file, limit=infile.SECRET)
    except LabctlError as error:
        raise LabctlError(
            "missing-secret", f"key_file of {target.name}: {error.message}", where=target.where
        ) from None
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text), passphrase)
        except paramiko.PasswordRequiredException:
            raise LabctlError(
                "missing-secret",
                f"key_file of {target.name} is encrypted",
                where=target.where,
                hint="give its key_passphrase",
            ) from None
        except (paramiko.SSHException, ValueError):
            continue
    raise LabctlError(
        "bad-value", f"key_file of {target.name} is not a private key that can be read", where=target.where
    )
