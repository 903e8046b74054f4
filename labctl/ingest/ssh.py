"""Configurations over SSH: log in, ask a few commands that only read, bring back their texts.

What a device is gets found out by asking: a `vtysh` that shows its running configuration makes it FRR, `ip -j address`
alone makes it a Linux host. Host keys are checked against a file (`strict`, the default, with the user's own
known_hosts), or learned on first use into the run's memory (`accept-new`), or not at all (`ignore`, said each time).
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import paramiko

from labctl.errors import LabctlError
from labctl.ingest.inventory import SshAccess, Target
from labctl.linux import netns
from labctl.schema import infile

CONCURRENCY: Final = 16
logging.getLogger("paramiko").addHandler(
    logging.NullHandler()
)  # what it has to say is said as an error of ours
MAX_BYTES: Final = 64 * 1024 * 1024  # of one answer

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
    """What one device answered, by command; a command that failed is absent."""

    target: Target
    texts: dict[str, str]
    error: LabctlError | None = None


def collect(
    targets: Sequence[Target],
    *,
    inside: str | None = None,
    done: Callable[[Texts], None] = lambda _: None,
    concurrency: int = CONCURRENCY,
) -> list[Texts]:
    """Ask all targets that have SSH access; in their order. `inside`: the path of a network namespace."""
    asked = [target for target in targets if target.ssh is not None]

    def one(target: Target) -> Texts:
        answer = _ask(target, inside)
        done(answer)
        return answer

    with ThreadPoolExecutor(
        max_workers=max(1, min(concurrency, len(asked))), thread_name_prefix="ssh"
    ) as pool:
        return list(pool.map(one, asked))


def _ask(target: Target, inside: str | None) -> Texts:
    access = target.ssh
    assert access is not None
    try:
        with _connect(target, access, inside) as client:
            texts = {
                name: said for name, command in COMMANDS.items() if (said := _run(client, command, access))
            }
    except (LabctlError, OSError, EOFError, paramiko.SSHException, _UnknownHostKey) as error:
        return Texts(target=target, texts={}, error=_explain(target, access, error))
    if texts.keys() & {"frr.conf", "ip-addr.json"}:
        return Texts(target=target, texts=texts)
    return Texts(
        target=target,
        texts={},
        error=_failure(
            target,
            "device-refused",
            "neither vtysh nor ip is known or allowed there",
            f"check the rights of {access.user}: is it in the groups frr and frrvty?",
        ),
    )


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


def _run(client: paramiko.SSHClient, command: str, access: SshAccess) -> str:
    """The output of a command that succeeded, else nothing."""
    _, out, _err = client.exec_command(command, timeout=access.timeout_s)
    data = out.read(MAX_BYTES)
    return data.decode("utf-8", "replace") if out.channel.recv_exit_status() == 0 else ""
