"""Secrets stop here: a parser hands each one to the `Redactor` and gets a `KeyToken` for the model.

One redactor serves one discovery, so that equal secrets get equal tokens whatever file they stand in, and a key that
differs between two routers differs in the shadow too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_interface

from labctl.ingest.plain_words import WORDS
from labctl.model.routing import KeyToken

#: What follows one of these words in a line that no parser understood may be a secret.
_TELLING = re.compile(
    r"(?i)\b(passw(?:or)?d|passphrase|secret|secrets|key|keys|key-string|pre-shared-key|md5|sha\d*|hmac\S*|token"
    r"|authentication-key|auth-key|auth|authentication|priv|privacy|psk|community-string|credential\w*)\b.+"
)
_SNMP_COMMUNITY = re.compile(r"(?i)^(\W*snmp(?:-server)?\b.*?\b(?:community|user|host|trap\S*)\b).*")
_TELLING_WORD = re.compile(_TELLING.pattern.removesuffix(".+"))
#: A number that is too short for a key, a community or route target of numbers, an area, a port.
_PLAIN = re.compile(
    r"\d{1,5}|\d{1,10}:\d{1,10}"
    r"|(?i:eth|ethernet|swp|lo|loopback|bond|br|vlan|vni|vxlan|po|port-channel|gi|gigabitethernet|te|tengige|et|ens|eno|enp\d+s)"
    r"\d[\d/.:]{0,8}"
)


class Redactor:
    """Numbers secrets in order of first appearance. `known` presets tokens; nothing ever reads a secret back."""

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self._tokens: dict[str, int] = dict(known or {})

    def __repr__(self) -> str:
        return f"Redactor({len(self._tokens)} secrets)"

    def token(self, secret: str) -> KeyToken:
        if secret not in self._tokens:
            self._tokens[secret] = max(self._tokens.values(), default=0) + 1
        return KeyToken(self._tokens[secret])

    def clean(self, text: str) -> str:
        """Free text (a description) without any secret that is known so far, four characters long or more."""
        for secret, number in self._tokens.items():
            if len(secret) >= 4 and secret in text:
                text = text.replace(secret, f"<key {number}>")
        return text


def scrub(line: str) -> str:
    """A line that no parser took apart, without what may be a secret: everything after a telling word goes."""
    line = _SNMP_COMMUNITY.sub(r"\1 <removed>", line)
    return _TELLING.sub(lambda m: f"{m[1]} <removed>", line)


def plain(line: str) -> str:
    """A line that no parser knows, up to its first word that could be a secret: the keyword before it may be mistyped,
    or missing, so that no telling word gives it away.
    """
    shown: list[str] = []
    for word in scrub(line).split():
        if word == "<removed>" or not _is_plain(word):
            return " ".join([*shown, "…" if word != "<removed>" else word])
        shown.append(word)
    return " ".join(shown)


def _is_plain(word: str) -> bool:
    if word.lower() in WORDS or _TELLING_WORD.fullmatch(word) or _PLAIN.fullmatch(word):
        return True
    try:
        ip_interface(word)
    except ValueError:
        return False
    return True
