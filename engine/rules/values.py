"""What a candidate may answer: one checker per item, from the raw JSON of a value to its RFC 8785 form.

The common answers (an option, true, null) are one dictionary look-up; only the rest is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson
import rfc8785

from engine.rules.limits import FILL_CHARACTERS_MAX, NUMERIC_DIGITS_MAX, TEXT_CHARACTERS_MAX

Checker = Callable[[bytes], bytes]
_NULL = b"null"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NUMBER_CHARACTERS_MAX = 400  # a double's range written out; longer is an attack on the parser
# Canonical as written, and exact: an integer, or a decimal without a zero at its end, of at most 15 digits. From seven
# places on the canonical form may have an exponent.
_PLAIN_NUMBER = re.compile(rb"0|-?[1-9][0-9]{0,14}|-?(?:0|[1-9][0-9]{0,8})\.[0-9]{0,5}[1-9]")
_string = msgspec.json.Decoder(str)
_strings = msgspec.json.Decoder(list[str])


class ValueRefused(Exception):
    """Why a value is no answer to its item; the message says what was expected."""


def checkers(item_index: Mapping[str, Mapping[str, Any]]) -> dict[str, Checker]:
    """A checker per item id, from the paper's index {item: {type, options?, blanks?}}.

    A checker takes one value as raw JSON and returns its canonical JSON, or raises ValueRefused.
    """
    return {item: _KINDS[entry["type"]](entry) for item, entry in item_index.items()}


def _single(entry: Mapping[str, Any]) -> Checker:
    options = set(entry["options"])
    known = {orjson.dumps(option): orjson.dumps(option) for option in options} | {_NULL: _NULL}

    def check(raw: bytes) -> bytes:
        found = known.get(raw)
        if found is not None:
            return found
        option = _decoded(_string, raw, "expected one option id or null")
        if option not in options:
            raise ValueRefused("expected one of the options " + ", ".join(sorted(options)))
        return orjson.dumps(option)

    return check


def _multiple(entry: Mapping[str, Any]) -> Checker:
    options = set(entry["options"])

    def check(raw: bytes) -> bytes:
        if raw == _NULL:
            return _NULL
        chosen = _decoded(_strings, raw, "expected a list of option ids or null")
        for option in chosen:
            if option not in options:
                raise ValueRefused("expected options out of " + ", ".join(sorted(options)))
        if len(set(chosen)) != len(chosen):
            raise ValueRefused("expected each option once")
        return orjson.dumps(chosen)

    return check


def _true_false(entry: Mapping[str, Any]) -> Checker:
    def check(raw: bytes) -> bytes:
        if raw in (b"true", b"false", _NULL):
            return raw
        raise ValueRefused("expected true, false or null")

    return check


def _fill(entry: Mapping[str, Any]) -> Checker:
    blanks = int(entry["blanks"])

    def check(raw: bytes) -> bytes:
        if raw == _NULL:
            return _NULL
        texts = _decoded(_strings, raw, "expected a list of strings or null")
        if len(texts) > blanks:
            raise ValueRefused(f"expected at most {blanks} strings, one per blank, got {len(texts)}")
        for text in texts:
            _check_text(text, FILL_CHARACTERS_MAX)
        return orjson.dumps(texts)

    return check


def _numeric(entry: Mapping[str, Any]) -> Checker:
    def check(raw: bytes) -> bytes:
        if raw == _NULL or _PLAIN_NUMBER.fullmatch(raw):
            return raw
        if len(raw) > _NUMBER_CHARACTERS_MAX or not _NUMBER.fullmatch(raw):
            raise ValueRefused("expected a finite number or null")
        try:
            number = Decimal(raw.decode())
        except InvalidOperation:  # an exponent that is beyond even a Decimal's range
            raise ValueRefused("expected a finite number a double can hold") from None
        significant = "".join(map(str, number.as_tuple().digits)).strip("0")  # normalize() would round to 28 digits
        if len(significant) > NUMERIC_DIGITS_MAX:
            raise ValueRefused(f"expected at most {NUMERIC_DIGITS_MAX} significant digits")
        double = float(raw)
        if abs(double) == float("inf") or Decimal(repr(double)) != number:  # too large, or too small to be exact
            raise ValueRefused("expected a finite number a double can hold")
        return rfc8785.dumps(double)

    return check


def _text(entry: Mapping[str, Any]) -> Checker:
    def check(raw: bytes) -> bytes:
        if raw == _NULL:
            return _NULL
        text = _decoded(_string, raw, "expected a string or null")
        _check_text(text, TEXT_CHARACTERS_MAX)
        return orjson.dumps(text)

    return check


_KINDS: dict[str, Callable[[Mapping[str, Any]], Checker]] = {
    "single": _single,
    "multiple": _multiple,
    "true_false": _true_false,
    "fill": _fill,
    "numeric": _numeric,
    "text": _text,
}


def _decoded(decoder: msgspec.json.Decoder[Any], raw: bytes, expected: str) -> Any:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueRefused(expected) from None


def _check_text(text: str, characters_max: int) -> None:
    if len(text) > characters_max:
        raise ValueRefused(f"expected at most {characters_max} characters, got {len(text)}")
    if "\0" in text:
        raise ValueRefused("expected no NUL character")
