"""base64url without padding, as tokens, keys and signatures travel."""

from __future__ import annotations

import base64
import binascii


def to_base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Raises ValueError for anything that `to_base64url` would not have written."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as fault:
        raise ValueError(str(fault)) from None
    if to_base64url(content) != text:
        raise ValueError("not the shortest base64url form")
    return content
