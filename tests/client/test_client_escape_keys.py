from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devboxgpu.escape_keys import Escape, EscapeKeys, help_lines

BASIC = (Escape.DISCONNECT, Escape.HELP)


def typed(*pieces: bytes, known: tuple[Escape, ...] = BASIC) -> tuple[bytes, tuple[Escape, ...]]:
    keys = EscapeKeys(known)
    results = [keys.feed(piece) for piece in pieces]
    return b"".join(result.data for result in results), tuple(one for result in results for one in result.escapes)


@pytest.mark.parametrize("before", [b"", b"\r", b"\n", b"ls\r"])
def test_tilde_dot_at_the_beginning_of_a_line_disconnects(before: bytes) -> None:
    assert typed(before + b"~.") == (before, (Escape.DISCONNECT,))


def test_keys_that_arrive_one_by_one_mean_the_same() -> None:
    assert typed(b"l", b"s", b"\r", b"~", b"?", b"~", b".") == (b"ls\r", (Escape.HELP, Escape.DISCONNECT))


def test_a_tilde_within_a_line_is_a_tilde() -> None:
    assert typed(b"cd ~.\r") == (b"cd ~.\r", ())


def test_two_tildes_are_one() -> None:
    assert typed(b"\r~~.") == (b"\r~.", ())


def test_a_tilde_before_any_other_key_goes_with_it() -> None:
    assert typed(b"\r~/bin\r") == (b"\r~/bin\r", ())


def test_after_a_tilde_and_enter_the_line_is_fresh() -> None:
    assert typed(b"~\r~.") == (b"~\r", (Escape.DISCONNECT,))


@given(st.lists(st.binary(max_size=30), max_size=10))
def test_without_tildes_every_byte_passes(pieces: list[bytes]) -> None:
    pieces = [piece.replace(b"~", b"") for piece in pieces]

    assert typed(*pieces) == (b"".join(pieces), ())


@given(st.lists(st.sampled_from([b"~", b"\r", b"\n", b".", b"?", b"d", b"x"]), max_size=30), st.data())
def test_how_the_keys_are_cut_into_pieces_does_not_matter(keys: list[bytes], draw: st.DataObject) -> None:
    whole = b"".join(keys)
    cut = draw.draw(st.integers(0, len(whole)))

    assert typed(whole[:cut], whole[cut:]) == typed(whole) == typed(*keys)


def test_a_key_that_is_not_on_offer_passes_and_is_not_in_the_help() -> None:
    assert typed(b"\r~d~i") == (b"\r~d~i", ())
    assert typed(b"\r~d", known=(Escape.DETACH,)) == (b"\r", (Escape.DETACH,))
    assert not any("~d" in line for line in help_lines(BASIC))
    assert help_lines([Escape.INFO])[1] == "  ~i  what this session is, costs, and when it stops"


def test_a_paste_full_of_tildes_is_not_copied_again_and_again() -> None:
    paste = b"~\n" * 500_000  # a copy of the rest at each would be 500 GB

    assert typed(paste) == (paste, ())


PASTE = b"\x1b[200~one\r~.\r~?\r\x1b[201~"


@pytest.mark.parametrize("cut", range(len(PASTE) + 1))
def test_nothing_in_a_paste_is_a_key_of_ours_however_it_is_cut(cut: int) -> None:
    assert typed(b"\r" + PASTE[:cut], PASTE[cut:] + b"\r~.") == (b"\r" + PASTE + b"\r", (Escape.DISCONNECT,))


def test_a_paste_that_comes_byte_by_byte_and_two_pastes_in_a_row() -> None:
    pieces = [bytes([byte]) for byte in PASTE * 2]

    assert typed(*pieces, b"\r~?") == (PASTE * 2 + b"\r", (Escape.HELP,))


def test_a_tilde_at_the_beginning_before_a_paste_is_still_a_key() -> None:
    assert typed(b"~?" + PASTE) == (PASTE, (Escape.HELP,))
