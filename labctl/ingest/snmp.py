"""Live SNMP, v2c and v3 with contexts: walk the columns that labctl reads and nothing else.

One request at a time for each device, many devices at once. A walk is complete when the agent answered beyond the end
of the column; a walk that ends in a timeout or in an answer that goes backwards is kept and marked, because only a
complete walk may remove anything. A device that fails harms no other: its failure is a value.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

from labctl.errors import LabctlError
from labctl.ingest.inventory import SnmpAccess, Target
from labctl.ingest.mib_tables import COLUMNS, SCALARS, TABLES, Oid, Varbind, dotted
from labctl.ingest.mibs import decode
from labctl.linux import netns
from labctl.model.observation import Observation, Walk

CONCURRENCY: Final = 64  # devices at once
REPETITIONS: Final = 20  # rows asked for in one GETBULK; more makes some agents give up
MAX_ROWS: Final = 200_000  # of one column: an agent that never ends is broken
MAX_ENDLESS: Final = 2  # so many columns without an end, and nothing more is asked of it

#: What tells, in pysnmp's words, that the agent is there and refuses us.
REFUSALS: Final = frozenset(
    {
        "AuthenticationError",
        "AuthenticationFailure",
        "DecryptionError",
        "NoAccessEntry",
        "NoGroupName",
        "NoSuchContext",
        "UnknownCommunityName",
        "UnknownSecurityName",
        "UnknownUserName",
        "UnsupportedSecurityLevel",
        "WrongDigest",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one target: an observation, or an error, or both when the device stopped half-way."""

    target: Target
    observation: Observation | None = None
    error: LabctlError | None = None


def collect(
    targets: Sequence[Target],
    *,
    inside: str | None = None,
    done: Callable[[Answer], None] = lambda _: None,
    concurrency: int = CONCURRENCY,
) -> list[Answer]:
    """Ask all targets that have SNMP access; in their order. `inside`: the path of a network namespace."""
    asked = [target for target in targets if target.snmp is not None]
    if not asked:
        return []
    answers: list[Answer] = []
    failed: list[BaseException] = []

    def work() -> None:
        # a thread of its own: a network namespace belongs to a thread, and so does an event loop
        try:
            with netns.inside(inside) if inside else contextlib.nullcontext():
                answers.extend(asyncio.run(_collect(asked, done, concurrency)))
        except BaseException as error:  # noqa: BLE001  (handed to the caller's thread)
            failed.append(error)

    thread = threading.Thread(target=work, name="snmp", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return answers


async def _collect(
    targets: Sequence[Target], done: Callable[[Answer], None], concurrency: int
) -> list[Answer]:
    room = asyncio.Semaphore(concurrency)

    async def one(target: Target) -> Answer:
        async with room:
            answer = await _ask(target)
        done(answer)
        return answer

    return list(await asyncio.gather(*(one(target) for target in targets)))


async def _ask(target: Target) -> Answer:
    access = target.snmp
    assert access is not None
    try:
        async with _session(target, access) as session:
            await session.hello()
            await session.walk_all()
    except _NoAnswer as failure:
        return Answer(target=target, error=failure.error)
    observation = decode(
        session.cells,
        key=target.name,
        source="snmp",
        where=target.address,
        address=target.address,
        walks=session.walks,
    )
    broken = next((walk for walk in session.walks if not walk.complete), None)
    error = None
    if broken is not None:
        error = LabctlError(
            "walk-incomplete",
            f"the walk of {broken.table} on {target.name} ({target.address}) stopped after {broken.rows} rows: {broken.reason}",
            where=target.where,
            hint="nothing that this device reported before is removed; try again, or raise its snmp timeout",
        )
    return Answer(target=target, observation=observation, error=error)


class _NoAnswer(Exception):  # noqa: N818  (a condition to handle)
    def __init__(self, error: LabctlError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class _Session:
    """A conversation with one agent."""

    target: Target
    request: Callable[..., Any]
    cells: list[Varbind] = field(default_factory=list)
    walks: list[Walk] = field(default_factory=list)

    async def hello(self) -> None:
        """The scalars, one request for each group; the first answer shows that the agent is there and lets us in."""
        heard = False
        for table in COLUMNS:
            if table not in SCALARS:
                continue
            names = [(*TABLES[table], column, 0) for column in COLUMNS[table]]
            problem, cells = await self.request("get", names)
            if problem and not heard:
                raise _NoAnswer(_refused(self.target, problem))
            if problem:
                self.walks.append(self._walk(table, 0, problem))
            heard = True
            self._keep(cells)

    async def walk_all(self) -> None:
        endless = 0
        for table, columns in COLUMNS.items():
            if table in SCALARS:
                continue
            rows, empty = 0, 0
            for column in columns:
                # a table that is probably not there costs a row, and one of a known length no more than it has
                enough = rows + 1 if rows else 1
                count, problem = await self._walk_column((*TABLES[table], column), enough)
                rows = max(rows, count)
                empty += not count
                if problem:
                    self.walks.append(self._walk(table, count, problem))
                    if "timeout" in problem.lower():
                        return  # it was there a moment ago: every further column would cost another timeout
                    endless += count > MAX_ROWS
                    if endless == MAX_ENDLESS:
                        return  # every further table could be another of these
                    break
                if rows == 0 and empty == 2:  # the agent does not have this table
                    break
            else:
                self.walks.append(self._walk(table, rows, ""))

    def _walk(self, table: str, rows: int, problem: str) -> Walk:
        return Walk(
            table=table, rows=rows, complete=not problem, reason=_words(problem), where=self.target.address
        )

    async def _walk_column(self, root: Oid, enough: int) -> tuple[int, str]:
        """(rows, why it is not complete). Slower steps after a timeout: some agents choke on twenty rows.

        enough: so many rows at first. What is asked beyond the end of a column is answered, read and thrown away.
        """
        last, rows, step = root, 0, min(enough, REPETITIONS)
        most = REPETITIONS
        while True:
            problem, cells = await self.request("bulk", [last], repetitions=step)
            if problem:
                if "timeout" in problem.lower() and step > 1:
                    step = most = 1 if step <= 5 else 5
                    continue
                return rows, problem
            inside = [
                (name, value) for name, value in cells if name[: len(root)] == root and value is not None
            ]
            for name, _ in inside:
                if name <= last:
                    return rows, f"the agent went backwards from {dotted(last)} to {dotted(name)}"
                last = name
            self._keep(inside)
            rows += len(inside)
            if len(inside) < len(cells) or not cells:
                return rows, ""
            if rows > MAX_ROWS:
                return rows, f"more than {MAX_ROWS} rows in one column"
            step = most

    def _keep(self, cells: Sequence[tuple[Oid, int | bytes | Oid | None]]) -> None:
        self.cells += [
            Varbind(name, value, f"{self.target.address} {dotted(name)}")
            for name, value in cells
            if value is not None
        ]


@contextlib.asynccontextmanager
async def _session(target: Target, access: SnmpAccess) -> AsyncIterator[_Session]:
    from pysnmp.hlapi.v3arch.asyncio import (
        ContextData,
        ObjectIdentity,
        ObjectType,
        SnmpEngine,
        bulk_cmd,
        get_cmd,
    )
    from pysnmp.proto.api.v2c import null
    from pysnmp.proto.rfc1902 import ObjectName

    class _Bare(ObjectType):  # type: ignore[misc]  # pysnmp is untyped
        """A number that is asked for as it stands: resolving it would make a compiler of MIBs for each device."""

        def __init__(self, name: Oid) -> None:
            super().__init__(ObjectIdentity(name), null)
            self._pair = ObjectName(name), null

        def resolve_with_mib(self, *_: Any, **__: Any) -> Any:
            return self._pair

    engine = SnmpEngine()  # one each: agents that were cloned share an engine id, and with it clock and keys
    try:
        place = await _transport(target, access)
        who, context = _credentials(access), ContextData(contextName=access.context.encode())

        async def request(
            kind: str, names: Sequence[Oid], *, repetitions: int = 1
        ) -> tuple[str, list[tuple[Oid, int | bytes | Oid | None]]]:
            binds = [_Bare(name) for name in names]
            if kind == "bulk":
                answer = await bulk_cmd(engine, who, place, context, 0, repetitions, *binds, lookupMib=False)
            else:
                answer = await get_cmd(engine, who, place, context, *binds, lookupMib=False)
            indication, status, _, cells = answer
            if indication:
                return (
                    f"{type(indication).__name__}: {_IN_WORDS.get(type(indication).__name__, indication)}",
                    [],
                )
            if int(status):
                return f"the agent answered {status.prettyPrint()}", []
            return "", [(tuple(name), _plain(value)) for name, value in cells]

        yield _Session(target, request)
    finally:
        engine.close_dispatcher()


async def _transport(target: Target, access: SnmpAccess) -> Any:
    from pysnmp.error import PySnmpError
    from pysnmp.hlapi.v3arch.asyncio import Udp6TransportTarget, UdpTransportTarget

    try:
        version = ip_address(target.address).version
    except ValueError:
        version = 4  # a name
    kind = Udp6TransportTarget if version == 6 else UdpTransportTarget
    try:
        return await kind.create(
            (target.address, access.port), timeout=access.timeout_s, retries=access.retries
        )
    except (PySnmpError, OSError):
        raise _NoAnswer(
            LabctlError(
                "device-unreachable",
                f"the name {target.address!r} of {target.name} cannot be resolved",
                where=target.where,
            )
        ) from None


def _credentials(access: SnmpAccess) -> Any:
    from pysnmp.hlapi.v3arch import asyncio as hlapi

    if access.version == "2c":
        assert access.community is not None
        return hlapi.CommunityData(access.community.reveal(), mpModel=1)  # noqa: S508  (what production speaks)
    auth = {
        None: hlapi.USM_AUTH_NONE,
        "md5": hlapi.USM_AUTH_HMAC96_MD5,
        "sha": hlapi.USM_AUTH_HMAC96_SHA,
        "sha224": hlapi.USM_AUTH_HMAC128_SHA224,
        "sha256": hlapi.USM_AUTH_HMAC192_SHA256,
        "sha384": hlapi.USM_AUTH_HMAC256_SHA384,
        "sha512": hlapi.USM_AUTH_HMAC384_SHA512,
    }
    priv = {
        None: hlapi.USM_PRIV_NONE,
        "des": hlapi.USM_PRIV_CBC56_DES,
        "3des": hlapi.USM_PRIV_CBC168_3DES,
        "aes": hlapi.USM_PRIV_CFB128_AES,
        "aes192": hlapi.USM_PRIV_CFB192_AES_BLUMENTHAL,
        "aes256": hlapi.USM_PRIV_CFB256_AES_BLUMENTHAL,
        "aes192c": hlapi.USM_PRIV_CFB192_AES,
        "aes256c": hlapi.USM_PRIV_CFB256_AES,
    }
    return hlapi.UsmUserData(
        access.user,
        access.auth_key.reveal() if access.auth_key else None,
        access.priv_key.reveal() if access.priv_key else None,
        authProtocol=auth[access.auth],
        privProtocol=priv[access.priv],
    )


def _plain(value: Any) -> int | bytes | Oid | None:
    """A pysnmp value without pysnmp: None for noSuchObject, noSuchInstance and endOfMibView."""
    from pyasn1.type import univ  # type: ignore[import-untyped]
    from pysnmp.proto import rfc1905

    if isinstance(value, (rfc1905.NoSuchObject, rfc1905.NoSuchInstance, rfc1905.EndOfMibView)):
        return None
    if isinstance(value, univ.ObjectIdentifier):
        return tuple(value)
    if isinstance(value, univ.OctetString):  # IpAddress and Opaque are octets too
        return bytes(value)
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


_IN_WORDS: Final = {"RequestTimedOut": "no answer before the timeout"}


def _words(problem: str) -> str:
    """Without pysnmp's name of it."""
    return problem.partition(": ")[2] if re.match(r"[A-Z]\w+: ", problem) else problem


def _refused(target: Target, problem: str) -> LabctlError:
    name, _, said = problem.partition(": ")
    access = target.snmp
    assert access is not None
    if name in REFUSALS:
        return LabctlError(
            "device-refused",
            f"{target.name} ({target.address}) answers and does not let us in: {said}",
            where=target.where,
            hint="check user, auth_key and priv_key; what this device reported before is kept",
        )
    what = "the community" if access.version == "2c" else "priv_key, context or the level of security"
    return LabctlError(
        "device-unreachable",
        f"{target.name} did not answer SNMP on {target.address} port {access.port}",
        where=target.where,
        hint=f"it is down, filtered, or {what} is wrong (an agent is silent about that); what it reported before is kept",
    )
