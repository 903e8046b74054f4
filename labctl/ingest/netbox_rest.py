"""NetBox over REST, through pynetbox: devices, interfaces with what they are connected to, addresses. It reads only.

    netbox:
      url: https://netbox.example.net
      token: "${NETBOX_TOKEN}"
      site: dc1

What an interface is connected to, NetBox itself has traced through patch panels and circuits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any, Final

from labctl.errors import LabctlError, Problems, Span
from labctl.ingest.inventory import FieldReader, Secret
from labctl.ingest.netbox_csv import Collected, interface_row
from labctl.ingest.sources import Context, Reading
from labctl.model.observation import CableRow
from labctl.schema import yaml
from labctl.schema.fields import decimal, mapping, text, unknown_keys

TIMEOUT_S: Final = 30.0
_FILTERS: Final = ("site", "tag", "role", "region", "tenant")
_KEYS: Final = frozenset({"url", "token", "timeout", *_FILTERS})
_CLAIM: Final = re.compile(rb"^netbox\s*:", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    url: str
    token: Secret | None
    timeout_s: float
    filters: Mapping[str, str]
    where: Span


@dataclass(frozen=True, slots=True)
class NetboxRest:
    """A YAML file with `netbox:` at the top."""

    def claims(self, path: str, head: bytes) -> bool:
        return path.endswith((".yml", ".yaml")) and _CLAIM.search(head) is not None

    def read(self, path: str, context: Context) -> Reading:
        access = parse(yaml.read_text(path), file=path, env=os.environ)
        found = Collected()
        with _answers(access):
            _fill(found, access, context)
        return found.reading()


def parse(content: str, *, file: str, env: Mapping[str, str]) -> Access:
    """Where NetBox is and how to ask; every mistake at once."""
    problems = Problems()
    root = mapping(yaml.parse(content, file=file), "the file", problems)
    problems.stop()
    assert root is not None
    unknown_keys(root, {"netbox"}, "a NetBox file", problems)
    given = mapping(root.get("netbox"), "netbox", problems)
    if given is None:
        problems.add("missing-key", "`netbox` needs a `url`", where=root.span)
        problems.stop()
    assert given is not None
    unknown_keys(given, set(_KEYS), "netbox", problems)
    url = text(given.get("url"), "url", problems) or ""
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        value = given.get("url")
        problems.add(
            "bad-value" if value else "missing-key",
            f"url {url!r} is no address of a web server" if value else "`netbox` needs a `url`",
            where=value.span if value else given.span,
            hint="for example https://netbox.example.net",
        )
    reader = FieldReader(problems, os.path.dirname(os.path.abspath(file)), env, keys=True)
    entries = {entry.key: entry for entry in given}
    token = reader.secret(entries, "token")
    timeout = decimal(given.get("timeout"), "timeout", problems)
    filters = {key: text(given.get(key), key, problems) or "" for key in _FILTERS if key in given}
    problems.stop()
    return Access(
        url=url.rstrip("/"), token=token, timeout_s=timeout or TIMEOUT_S, filters=filters, where=given.span
    )


class _answers:  # noqa: N801  (reads as a word)
    """Whatever NetBox or the way to it does wrong, as one of our errors. Nothing was taken then."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        import pynetbox
        import requests

        if isinstance(error, pynetbox.RequestError) and error.req.status_code in (401, 403):
            raise LabctlError(
                "device-refused",
                f"NetBox at {self._access.url} answers and does not let us in ({error.req.status_code})",
                where=self._access.where,
                hint="check the token; it needs to read devices, interfaces and IP addresses",
            ) from None
        if isinstance(error, (pynetbox.RequestError, pynetbox.ContentError)):
            status = f" ({error.req.status_code})" if isinstance(error, pynetbox.RequestError) else ""
            raise self._silent(f"did not answer as NetBox does{status}") from None
        if isinstance(error, (requests.RequestException, ValueError, KeyError, TypeError, AttributeError)):
            what = "did not answer" if isinstance(error, requests.RequestException) else "answered oddly"
            raise self._silent(what) from None

    def _silent(self, what: str) -> LabctlError:
        return LabctlError(
            "device-unreachable",
            f"NetBox at {self._access.url} {what}",
            where=self._access.where,
            hint="is this its address, without `/api`? nothing was written",
        )


def _fill(found: Collected, access: Access, context: Context) -> None:
    addresses: dict[tuple[str, str], list[str]] = {}
    api = _api(access)
    names: set[str] = set()
    for device in _all(api.dcim.devices, access.filters):
        if device.get("name"):
            names.add(device["name"])
            found.device(device["name"], _place(access, "dcim/devices", device), device.get("serial") or "")
    if not names:
        asked = ", ".join(f"{key} {value}" for key, value in access.filters.items())
        raise LabctlError(
            "unknown-source",
            f"NetBox at {access.url} has no devices{f' of {asked}' if asked else ''}",
            where=access.where,
        )
    context.said(f"NetBox has {len(names)} devices", 1, 3)
    for each in _all(api.ipam.ip_addresses, {}):
        owner = each.get("assigned_object") or {}
        holder, name = (owner.get("device") or {}).get("name"), owner.get("name")
        if holder in names and name:
            addresses.setdefault((holder, name), []).append(str(ip_interface(each["address"])))
    context.said("NetBox told its addresses", 2, 3)
    seen: set[frozenset[tuple[str, str]]] = set()
    for interface in _all(api.dcim.interfaces, {}):
        holder = (interface.get("device") or {}).get("name")
        if holder not in names or not interface.get("name"):
            continue
        end = (str(holder), str(interface["name"]))
        _interface(
            found, interface, end, _place(access, "dcim/interfaces", interface), addresses.get(end, [])
        )
        for far in _far_ends(interface):
            if far[0] in names and frozenset((end, far)) not in seen and far != end:
                seen.add(frozenset((end, far)))
                cable = interface.get("cable") or {}
                where = _place(access, "dcim/cables", cable)
                note = str(cable.get("label") or "")
                found.cables.append(CableRow(source="netbox", a=end, z=far, where=where, note=note))
    context.said("NetBox told its interfaces", 3, 3)


def _api(access: Access) -> Any:
    import pynetbox
    import requests

    class Patient(requests.Session):
        def request(self, *args: Any, **more: Any) -> requests.Response:
            more.setdefault("timeout", access.timeout_s)
            return super().request(*args, **more)

    api = pynetbox.api(access.url, token=access.token.reveal() if access.token else None)
    api.http_session = Patient()
    return api


def _all(endpoint: Any, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Records as plain maps, page by page; asking them for attributes would ask NetBox again.

    A record may come twice, when one before it was made while we were turning pages. More of those than of others are
    pages that lead back to each other, which would never end.
    """
    seen: set[int] = set()
    again = 0
    for record in endpoint.filter(**filters) if filters else endpoint.all():
        found = dict(record)
        number = found.get("id")
        if not isinstance(number, int):
            raise ValueError("no record of NetBox")  # noqa: TRY004  (of what was sent, not of the program)
        if number in seen:
            again += 1
            if again > len(seen):
                raise ValueError("pages that lead back to each other")
            continue
        seen.add(number)
        yield found


def _place(access: Access, path: str, record: Mapping[str, Any]) -> str:
    return f"{access.url}/{path}/{record.get('id', '')}/"


def _interface(
    found: Collected, record: Mapping[str, Any], end: tuple[str, str], where: str, addresses: list[str]
) -> None:
    kind = record.get("type") or {}
    row = interface_row(
        end[1],
        where,
        kind=str(kind.get("value", "")),
        mac=str(record.get("mac_address") or ""),
        mtu=str(record.get("mtu") or ""),
        enabled=record.get("enabled"),
        description=str(record.get("description") or ""),
    )
    found.interface(end[0], row, str((record.get("lag") or {}).get("name", "")), addresses)


def _far_ends(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if record.get("connected_endpoints_type") != "dcim.interface":
        return
    for far in record.get("connected_endpoints") or ():
        device = (far.get("device") or {}).get("name")
        if device and far.get("name"):
            yield device, far["name"]


NETBOX_REST = NetboxRest()
