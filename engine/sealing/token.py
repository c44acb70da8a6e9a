"""A candidate's token: who, which paper of which batch, which login; an HMAC and no row anywhere."""

from __future__ import annotations

import hmac

from msgspec import Struct

from engine.rules.forms import batch_id_of
from engine.sealing.encoding import to_base64url

_MARK = "~"  # stands in no id


class Token(Struct, frozen=True):
    sitting_id: str
    armed_id: str  # the batch, and which of its papers (rules/forms.py)
    epoch: str  # decimal, as the script compares it

    @property
    def batch_id(self) -> str:
        return batch_id_of(self.armed_id)


def issue(token: Token, token_key: bytes) -> str:
    body = _MARK.join((token.sitting_id, token.armed_id, token.epoch))
    return body + _MARK + _mac(body, token_key)


def read(text: str, token_key: bytes) -> Token | None:
    """The token, or None when it is not one of ours."""
    body, mark, mac = text.rpartition(_MARK)
    if not mark or not text.isascii() or not hmac.compare_digest(mac, _mac(body, token_key)):
        return None
    sitting_id, armed_id, epoch = body.split(_MARK)
    return Token(sitting_id, armed_id, epoch)


def login_digest(admission_code: str, id_number: str, login_key: bytes) -> str:
    """Under what name the login index knows a code and a folded ID number."""
    return hmac.digest(login_key, f"{admission_code}|{id_number}".encode(), "sha256").hex()


def _mac(body: str, token_key: bytes) -> str:
    return to_base64url(hmac.digest(token_key, body.encode(), "sha256"))
