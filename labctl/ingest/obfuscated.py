"""Keys that a device shows obfuscated (type 7): the same key looks different on every device and in every place.

Only what lies below tells whether two ends have the same key, so it is taken out here and goes to the redactor, which
lets nothing but its number through. Cisco's is an exclusive or with a fixed text, from a place that the first two digits
say; Arista's is DES with a fixed key and the name of what the key belongs to (both published, neither is a secret).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

_CISCO: Final = b"dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87"
_ARISTA: Final = b"\xd5\xa8\xc9\x1e\xf5\xd5\x8a\x23"
_SIGNED: Final = b"\x4c\x88\xbb"
_BLOCK: Final = 8  # bytes


def cisco(shown: str) -> str:
    """`060506324F41` -> `cisco`; what is no such text is returned as it is."""
    found = re.fullmatch(r"(\d\d)((?:[0-9A-Fa-f]{2})+)", shown)
    if found is None or int(found[1]) >= len(_CISCO):
        return shown
    start = int(found[1])
    clear = bytes(
        each ^ _CISCO[(start + n) % len(_CISCO)] for n, each in enumerate(binascii.unhexlify(found[2]))
    )
    return clear.decode("latin-1")


def arista(shown: str, belongs_to: Iterable[str]) -> str:
    """What EOS's text means. belongs_to: the texts that EOS may have mixed in; where none fits, `shown` is returned."""
    try:
        blocks = base64.b64decode(shown, validate=True)
    except ValueError:
        return shown
    if not blocks or len(blocks) % _BLOCK:
        return shown
    return next(filter(None, (_arista(blocks, each) for each in belongs_to)), shown)


def _arista(blocks: bytes, belongs_to: str) -> str | None:
    key = bytearray(_ARISTA)
    for n, each in enumerate(belongs_to.encode()):
        key[n % _BLOCK] ^= each
    single = bytes(each & 0x7F for each in key)  # three times the same key is plain DES
    reading = Cipher(TripleDES(single * 3), modes.CBC(bytes(_BLOCK))).decryptor()
    clear = reading.update(blocks) + reading.finalize()
    padding = clear[3] >> 4
    if not clear.startswith(_SIGNED) or padding >= _BLOCK:
        return None
    return clear[4 : len(clear) - padding].decode("latin-1")
