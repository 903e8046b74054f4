"""The links of one namespace, kept current.

Subscribe first, dump second: a change between the two is then an event that waits, never one that was missed. An
event says only "read again"; what is read is asked of the kernel at that moment, one device when one changed, all of
them when many did or when events were lost. Both sockets are opened inside the namespace and keep talking to it; they
also keep it alive, which is why `destroy` ends the agent before it removes namespaces.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from labctl.linux import netns
from labctl.linux.events import LinkEvents, Overrun
from labctl.linux.netlink import Link, Netlink
from labctl.linux.rtnl import IFF_UP

#: Above this many changed devices one dump is cheaper than asking for each.
_DUMP_ABOVE = 8


class Watch:
    """`links` by name as last read; `fileno` becomes readable when `refresh` has something to do."""

    def __init__(self, path: str) -> None:
        self.inode = netns.inode(path)
        self._events = LinkEvents(path)
        try:
            self.netlink = Netlink(path)
        except OSError:
            self._events.close()
            raise
        self.links: dict[str, Link] = {}
        self.dump()

    def fileno(self) -> int:
        return self._events.fileno()

    def close(self) -> None:
        self._events.close()
        self.netlink.close()

    def refresh(self) -> set[str]:
        """Read what events point at; the names of the devices that did something (also those that are gone)."""
        try:
            events = self._events.read()
        except Overrun:
            return self.dump()
        changed = {event.link.index for event in events}
        if len(changed) > _DUMP_ABOVE:
            return self.dump()
        names: set[str] = set()
        for index in changed:
            names |= self._read(index)
        return names

    def dump(self) -> set[str]:
        """Read all devices; the names there were and are."""
        before = set(self.links)
        self.links = {link.name: link for link in self.netlink.links()}
        return before | set(self.links)

    def reread(self, name: str) -> Link | None:
        """One device as it is now."""
        link = self.netlink.link(name)
        if link is None:
            self.links.pop(name, None)
        else:
            self.links[name] = link
        return link

    def reread_all(self, names: Collection[str]) -> None:
        """Many devices as they are now, in one go."""
        indexes = {self.links[name].index: name for name in names if name in self.links}
        found = self.netlink.those(list(indexes))
        for index, name in indexes.items():
            link = found.get(index)
            if link is not None and link.name == name:
                self.links[name] = link
            else:
                self.reread(name)
        for name in names:
            if name not in self.links:
                self.reread(name)

    def assume(self, name: str, *, up: bool) -> None:
        """It was just raised or lowered; an event is on its way."""
        link = self.links[name]
        self.links[name] = replace(link, flags=link.flags | IFF_UP if up else link.flags & ~IFF_UP)

    def admin(self) -> dict[str, bool]:
        """interface -> has IFF_UP, of every interface there is."""
        return {name: link.up for name, link in self.links.items()}

    def _read(self, index: int) -> set[str]:
        names = {name for name, link in self.links.items() if link.index == index}
        for name in names:
            del self.links[name]  # it may have been renamed, or be gone
        link = self.netlink.link(index)
        if link is not None:
            self.links[link.name] = link
            names.add(link.name)
        return names
