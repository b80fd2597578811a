from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devboxgpu.escape_keys import Escape, EscapeKeys


def typed(*pieces: bytes) -> tuple[bytes, tuple[Escape, ...]]:
    keys = EscapeKeys()
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
