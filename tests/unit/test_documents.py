"""ID numbers: one spelling, the faults named, the 15-digit form equal to the 18-digit one."""

from __future__ import annotations

import datetime
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.documents import (
    DOCUMENT_FAULTS,
    SPACES,
    canonical_document,
    document_fault,
    fold_code,
    fold_document,
    fold_width_and_space,
    masked_document,
    remove_invisible,
)

TODAY = datetime.date(2025, 11, 15)
PROVINCES = [
    *(str(first) for first in (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55))),
    *(str(first) for first in (*range(61, 66), 71, 81, 82, 83, *range(90, 100))),
]


def with_check(body: str) -> str:
    """The 18 characters whose ISO 7064 MOD 11-2 remainder is 1: the standard's recursive form, not the weighted sum."""
    carried = 0
    for digit in body:
        carried = (carried + int(digit)) * 2 % 11
    return body + "0123456789X"[(1 - carried) % 11]


@st.composite
def bodies(draw: st.DrawFn, year_min: int = 1900, born_max: datetime.date = TODAY) -> str:
    province = draw(st.sampled_from(PROVINCES))
    county = draw(st.integers(0, 9999))
    born = draw(st.dates(datetime.date(year_min, 1, 1), born_max))
    sequence = draw(st.integers(1, 999))
    return f"{province}{county:04}{born:%Y%m%d}{sequence:03}"


# --- resident numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    ["11010519491231002X", "911124198108030024", "810000199408230021", "830000199201300022"],
)
def test_published_specimens_pass(number: str) -> None:
    """GB 11643's own example, the foreigner's card beginning with 9, residence permits of Hong Kong and Taiwan."""
    assert document_fault(number, TODAY) is None


@given(bodies())
def test_every_well_formed_number_passes(body: str) -> None:
    """A province, any county, a real birth date, a sequence from 001 and the right check character are enough."""
    assert document_fault(with_check(body), TODAY) is None


@given(bodies(), st.integers(0, 17), st.sampled_from("0123456789"))
def test_any_single_changed_digit_fails(body: str, place: int, digit: str) -> None:
    """MOD 11-2 catches every single mistyped digit."""
    number = with_check(body)
    mistyped = number[:place] + digit + number[place + 1 :]

    assert (document_fault(mistyped, TODAY) is None) == (mistyped == number)


@given(bodies(), st.integers(0, 16))
def test_any_two_swapped_neighbours_fail(body: str, place: int) -> None:
    """MOD 11-2 catches every transposition; a swapped X leaves the shape of a resident number altogether."""
    number = with_check(body)
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]

    if "X" not in swapped[:17]:
        assert (document_fault(swapped, TODAY) is None) == (swapped == number)


@pytest.mark.parametrize("first_two", [f"{number:02}" for number in range(100)])
def test_first_two_digits_are_a_province_or_83_or_begin_with_9(first_two: str) -> None:
    """Provinces as GB 2260 has them, 81-83 for residence permits, 9 for the foreigner's card; nothing else."""
    fault = document_fault(with_check(first_two + "0101199001010" + "11"), TODAY)

    assert fault == (None if first_two in PROVINCES else "region")


@pytest.mark.parametrize(
    ("birth", "fault"),
    [
        ("19000101", None),
        ("18991231", "birth_date"),
        ("19000228", None),
        ("19000229", "birth_date"),  # 1900 was no leap year
        ("20000229", None),
        ("20010229", "birth_date"),
        ("19900431", "birth_date"),
        ("19901301", "birth_date"),
        ("19900001", "birth_date"),
        ("19900100", "birth_date"),
        ("00000101", "birth_date"),
        ("20251115", None),
        ("20251116", "birth_date"),
        ("99991231", "birth_date"),
    ],
)
def test_birth_date_is_real_from_1900_until_today(birth: str, fault: str | None) -> None:
    """Born today is possible, born tomorrow is not."""
    assert document_fault(with_check("110105" + birth + "002"), TODAY) == fault


def test_sequence_000_is_refused() -> None:
    """No number with the sequence 000 was ever issued, check digit or not."""
    assert document_fault(with_check("11010519491231000"), TODAY) == "sequence"
    assert document_fault("110105491231000", TODAY) == "sequence"


# --- the 15-digit form -----------------------------------------------------------------------------------------


@given(bodies(born_max=datetime.date(1999, 12, 31)))
def test_fifteen_digits_equal_their_eighteen(body: str) -> None:
    """The old number of a person and the new one have one canonical form."""
    old = body[:6] + body[8:]

    assert document_fault(old, TODAY) is None
    assert canonical_document(old) == canonical_document(with_check(body)) == with_check(body)


@given(bodies(year_min=2000))
def test_a_number_from_2000_on_never_equals_a_fifteen_digit_one(body: str) -> None:
    """19yy is meant by every 15-digit number: somebody born in 2005 is not the one born in 1905."""
    assert canonical_document(body[:6] + body[8:]) != with_check(body)


@pytest.mark.parametrize("number", ["110105000229002", "110105491331002", "010105491231002", "110105491231000"])
def test_an_impossible_fifteen_digit_number_is_a_fault_and_stays_itself(number: str) -> None:
    """Fifteen digits are a resident number and nothing else; an impossible one gets no 18-digit form."""
    assert document_fault(number, TODAY) in {"birth_date", "region", "sequence"}
    assert canonical_document(number) == number


@given(st.text(alphabet="0123456789X", max_size=20))
def test_canonical_form_is_its_own_canonical_form(number: str) -> None:
    """Applying it twice changes nothing."""
    assert canonical_document(canonical_document(number)) == canonical_document(number)


@pytest.mark.parametrize("number", ["E12345678", "H12345678", "ABC123456789012", "11010519491231002X", "", "12345678"])
def test_every_other_document_is_its_own_canonical_form(number: str) -> None:
    """Only resident numbers have two forms."""
    assert canonical_document(number) == number


# --- other kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number",
    [
        "H12345678",
        "M1234567890",
        "12345678",
        "USA123456789012",
        "E12345678",
        "EA1234567",
        "12345",
        "A12345",
        "ABCDEFGHIJKL12345",
        "1234567890123456",
    ],
)
def test_other_documents_pass_by_their_shape(number: str) -> None:
    """Home-return and Taiwan permits, the old foreigner's card, passports: letters and digits, at least five digits."""
    assert document_fault(number, TODAY) is None


@pytest.mark.parametrize(
    "number",
    [
        *("", "1234", "A1234", "ABCDEFGH1234", "1234567890123456789", "ABCDEFGHIJKLMN12345"),
        *("11010119900307O33X", "12345678901234567A", "AB3456789012345678"),  # 18 characters are a resident's
        *("12345678901234A", "AB1234567890123"),  # and so are 15, but for three letters and 12 digits
    ],
)
def test_a_number_of_no_known_shape_is_a_fault(number: str) -> None:
    """Too short, too long, or too few digits."""
    assert document_fault(number, TODAY) == "shape"


@pytest.mark.parametrize("mark", ["-", ".", "/", "_", "(", "*", "'", "+", "·", "号", "é", "\0", "\n", "\x7f", "\ud800"])
def test_other_punctuation_and_control_characters_are_faults(mark: str) -> None:
    """Nothing but letters and digits may be left after folding, wherever it stands."""
    for text in (mark + "E12345678", "E1234" + mark + "5678", "E12345678" + mark, "11010519491231002X" + mark):
        assert document_fault(fold_document(text), TODAY) == "characters"


@pytest.mark.parametrize("digits", ["①②③④⑤⑥", "²²²²²²", "١٢٣٤٥٦", "𝟏𝟐𝟑𝟒𝟓𝟔", "一二三四五六", "Ⅰ23456"])
def test_signs_that_only_look_like_digits_are_not_read_as_digits(digits: str) -> None:
    """Folding is not NFKC: a circled, raised or foreign digit is a fault, never a guess."""
    assert document_fault(fold_document("E" + digits), TODAY) == "characters"


@pytest.mark.parametrize("letter", ["ı", "ſ", "ß", "ﬁ", "\u212a"])
def test_letters_outside_ascii_do_not_become_ascii(letter: str) -> None:
    """Unicode's upper case turns a dotless i into I and a long s into S; ours does not."""
    assert document_fault(fold_document(letter + "1234567"), TODAY) == "characters"


@given(st.text())
def test_any_text_gets_a_fault_with_a_message_or_none(text: str) -> None:
    """No text makes the check fail, and every fault can be explained."""
    fault = document_fault(fold_document(text), TODAY)

    assert fault is None or DOCUMENT_FAULTS[fault]


# --- folding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "11010519491231002x",
        "１１０１０５１９４９１２３１００２Ｘ",
        "１１０１０５１９４９１２３１００２ｘ",
        " 110105 19491231 002X ",
        "\u3000110105\u300019491231\u3000002X\u3000",
        "110105\u00a019491231\u2009002X\t",
        "\ufeff11010519491231002X",
        "110105\u200b19491231\u200d002X",
        "110105\u00ad19491231\u2060002X",
        "\u202d11010519491231002X\u202c",
        "11010519491231002X\ufe0f",
        "11010519491231002X\u2028",
    ],
)
def test_full_width_spaces_and_invisible_characters_are_folded(text: str) -> None:
    """However it was typed or pasted, it is the same number."""
    assert fold_document(text) == "11010519491231002X"


def test_every_full_width_form_becomes_its_half_width_one() -> None:
    """U+FF01-FF5E are ASCII in full width, the whole row of them."""
    for point in range(0x21, 0x7F):
        assert fold_width_and_space(chr(point + 0xFEE0)) == chr(point)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    """A folded document, ticket or code is left alone."""
    for fold in (fold_document, fold_width_and_space, fold_code, remove_invisible):
        assert fold(fold(text)) == fold(text)


@given(bodies(), st.data())
def test_folding_undoes_any_mix_of_width_case_and_noise(body: str, data: st.DataObject) -> None:
    """Each character in either width and case, with spaces and invisible characters anywhere."""
    number = with_check(body)
    noise = st.text(alphabet=SPACES + "\u200b\u200e\u00ad\ufeff", max_size=2)
    spelt = ""
    for character in number:
        written = data.draw(st.sampled_from([character, character.lower()]))
        spelt += data.draw(noise) + data.draw(st.sampled_from([written, chr(ord(written) + 0xFEE0)]))

    assert fold_document(spelt + data.draw(noise)) == number


def test_spaces_are_all_of_unicodes_and_the_tab() -> None:
    """Every separator Unicode knows is a space to us; line feeds and other controls are not."""
    separators = {chr(point) for point in range(0x110000) if unicodedata.category(chr(point)) in ("Zs", "Zl", "Zp")}

    assert set(SPACES) == separators | {"\t"}


@pytest.mark.parametrize("text", ["LDGX3", "ldgx3", "ＬＤＧＸ３", "ｌｄｇｘ３", " ld gx\u30003 ", "\u200bLDGX3\ufeff"])
def test_an_admission_code_is_folded_for_width_case_spaces_and_invisible_characters(text: str) -> None:
    """What the proctor reads out is what the candidate types, whatever the input method makes of it."""
    assert fold_code(text) == "LDGX3"


@pytest.mark.parametrize(
    ("document", "masked"),
    [("11010519491231002X", "**************002X"), ("E1234567", "******67"), ("12345", "****5"), ("", "")],
)
def test_a_masked_document_keeps_at_most_its_last_four_characters(document: str, masked: str) -> None:
    """Enough to see which one was meant, too little to be one."""
    assert masked_document(document) == masked
