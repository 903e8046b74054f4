"""The source that asks: an inventory of devices, each by SNMP, SSH or both, at the same time."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from labctl.errors import LabctlError
from labctl.ingest import inventory, linux_host, snmp, ssh
from labctl.ingest.parsers import PARSERS
from labctl.ingest.sources import Context, Reading, Unread
from labctl.model.config import DeviceConfig, InterfaceConfig


@dataclass(frozen=True, slots=True)
class Inventory:
    """A YAML file with `devices:` at the top."""

    def claims(self, path: str, head: bytes) -> bool:
        named = path.endswith((".yml", ".yaml", ".json"))
        return (
            named
            and re.search(
                rb"^(devices|\"?devices\"?)\s*:|^\s*\{\s*\"?(devices|defaults)\"?\s*:", head, re.MULTILINE
            )
            is not None
        )

    def read(self, path: str, context: Context) -> Reading:
        targets = inventory.load(path)
        total = sum((target.snmp is not None) + (target.ssh is not None) for target in targets)
        progress = _Progress(context, total)
        with ThreadPoolExecutor(2, thread_name_prefix="live") as pool:
            asked = pool.submit(
                snmp.collect,
                targets,
                inside=context.inside,
                done=lambda a: progress.step(a.target, "SNMP", a.error),
            )
            logged_in = pool.submit(
                ssh.collect,
                targets,
                inside=context.inside,
                done=lambda t: progress.step(t.target, "SSH", t.error),
            )
            answers, texts = asked.result(), logged_in.result()
        reading = Reading()
        for answer in answers:
            if answer.observation is not None:
                reading.observations.append(answer.observation)
            if answer.error is not None:
                reading.unread.append(_unread(answer.target, "snmp", answer.error))
        for each in texts:
            _configuration(each, context, reading)
        return reading


class _Progress:
    """Counts answers of both kinds, from several threads."""

    def __init__(self, context: Context, total: int) -> None:
        self._context = context
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def step(self, target: inventory.Target, how: str, error: LabctlError | None) -> None:
        with self._lock:
            self._done += 1
            what = "answered" if error is None else error.code
            self._context.said(f"{target.name} {what} over {how}", self._done, self._total)


def _unread(target: inventory.Target, what: str, error: LabctlError) -> Unread:
    return Unread(name=target.name, address=target.address, what=what, error=error)


def _configuration(answer: ssh.Texts, context: Context, reading: Reading) -> None:
    """What a device said over SSH, parsed. A configuration that does not parse is that device's problem alone."""
    target = answer.target
    if answer.error is not None:
        reading.unread.append(_unread(target, "ssh", answer.error))
        return
    place = f"ssh:{target.name}"
    try:
        if "ip-addr.json" in answer.texts:
            parsed = linux_host.read_texts(answer.texts, place=place, redactor=context.redactor)
        else:
            file = "frr.conf" if "frr.conf" in answer.texts else ssh.RUNNING_CONFIG
            parsed = PARSERS[answer.dialect](
                answer.texts[file], file=f"{place}/{file}", device=target.name, redactor=context.redactor
            )
    except LabctlError as error:
        for each in error.each:
            reading.unread.append(_unread(target, "ssh", each))
        return
    reading.configs.append((target.name, _mgmt_marked(parsed.config, target)))
    reading.accounts.append(parsed.account)


def _mgmt_marked(config: DeviceConfig, target: inventory.Target) -> DeviceConfig:
    """eth0 is the management port of a device that was reached through it."""

    def reached_through(each: InterfaceConfig) -> bool:
        here = {address.partition("/")[0] for address in (*each.ipv4, *each.ipv6)}
        return each.name == "eth0" and target.address in here

    return replace(
        config, interfaces=tuple(replace(i, mgmt=i.mgmt or reached_through(i)) for i in config.interfaces)
    )


INVENTORY = Inventory()
