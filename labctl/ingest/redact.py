"""Secrets stop here: a parser hands each one to the `Redactor` and gets a `KeyToken` for the model.

One redactor serves one discovery, so that equal secrets get equal tokens whatever file they stand in, and a key that
differs between two routers differs in the shadow too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from labctl.model.routing import KeyToken

#: What follows one of these words in a line that no parser understood may be a secret.
_TELLING = re.compile(
    r"(?i)\b(passw(?:or)?d|passphrase|secret|secrets|key|keys|key-string|pre-shared-key|md5|sha\d*|hmac\S*|token"
    r"|authentication-key|auth-key|auth|authentication|priv|privacy|psk|community-string|credential\w*)\b.+"
)
_SNMP_COMMUNITY = re.compile(r"(?i)^(\W*snmp(?:-server)?\b.*?\b(?:community|user|host|trap\S*)\b).*")


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
