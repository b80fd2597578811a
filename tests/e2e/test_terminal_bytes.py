"""Bytes pass a terminal unchanged in both directions, however they are cut and however many there are."""

from __future__ import annotations

import hashlib
import random

from tests.e2e.waiting import until

WIDE = "é漢字🙂👩‍👩‍👧 ñ\u0301 "
BYTE_BY_BYTE = """
import os, sys
for byte in sys.argv[1].encode() * 20 + b"\\nall-written\\n":
    os.write(1, bytes([byte]))
"""
RAW = """
import os, sys, tty
tty.setraw(0)
os.write(1, b"now-raw")
data = b""
while not data.endswith(b"\\x04"):
    data += os.read(0, 65536)
open(sys.argv[1], "wb").write(data)
"""
MEBIBYTE = 2**20
LINE_BYTES = 64


def words_of(size: int) -> bytes:
    """Return lines of so many bytes together, with wide characters, and nothing that a terminal acts upon."""
    numbers = random.Random(8)
    alphabet = "abcdefghijklmnopqrstuvwxyz 0123456789é漢🙂"
    data = b""
    pieces = []
    length = 0
    while length < size:
        piece = "".join(numbers.choices(alphabet, k=LINE_BYTES)).encode() + b"\n"
        pieces.append(piece)
        length += len(piece)
    data = b"".join(pieces)
    return data[: size - 1].decode(errors="ignore").encode() + b"\n"


def digest_of(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def test_characters_split_at_every_byte_sizes_in_a_storm_and_pastes_arrive_as_they_are(line, tmp_path):
    script, raw = tmp_path / "script.py", tmp_path / "raw.py"
    script.write_text(BYTE_BY_BYTE)
    raw.write_text(RAW)
    with line.shell_on_screen() as terminal:
        written_byte_by_byte(terminal, script)
        typed_byte_by_byte(terminal, tmp_path)
        resized_in_a_storm(terminal, tmp_path)
        pasted(terminal, tmp_path, raw)
        terminal.enter("exit")
        assert terminal.exit_code() == 0


def written_byte_by_byte(terminal, script) -> None:
    terminal.enter(f"clear; python3 {script} '{WIDE}'")
    terminal.expect("\r\nall-written\r\n")
    assert (WIDE * 20).encode() + b"\r\nall-written" in terminal.printed
    assert "\ufffd" not in terminal.text


def typed_byte_by_byte(terminal, folder) -> None:
    terminal.enter(f"echo go-$((6*7)); cat > {folder}/typed; echo written-$((6*7))")
    terminal.expect("go-42")
    words = WIDE * 5 + "\r"
    for byte in words.encode():
        terminal.type(bytes([byte]))
    terminal.type("\x04")
    terminal.expect("written-42")
    assert (folder / "typed").read_text() == WIDE * 5 + "\n"


def resized_in_a_storm(terminal, folder) -> None:
    """A hundred sizes while output streams; the last one holds."""
    terminal.enter(f"(while ! [ -e {folder}/calm ]; do seq 50; done); echo ended-$((6*7))")
    for number in range(100):
        terminal.resize(40 + number, 10 + number % 37)
    terminal.resize(101, 33)
    (folder / "calm").touch()
    terminal.expect("ended-42")

    def size() -> bool:
        terminal.enter("stty size; echo said-$((6*7))")
        terminal.expect("said-42")
        return "33 101" in terminal.text

    until(size, "the last size to hold")


def pasted(terminal, folder, raw) -> None:
    """A mebibyte into `cat`; then one in brackets, as terminals send it, into a program that takes every byte."""
    data = words_of(MEBIBYTE)
    terminal.enter(f"stty -echo; echo go-$((6*7)); cat > {folder}/paste; stty echo; echo pasted-$((6*7))")
    terminal.expect("go-42")
    terminal.type(data.replace(b"\n", b"\r") + b"\x04")
    terminal.expect("pasted-42")
    assert digest_of(folder / "paste") == hashlib.sha256(data).hexdigest()
    bracketed = b"\x1b[200~" + bytes(range(5, 126)) + WIDE.encode() + b"two\r~.\rlines\r" + b"\x1b[201~"
    terminal.enter(f"python3 {raw} {folder}/bracketed; echo taken-$((6*7))")
    terminal.expect("now-raw")
    terminal.type(bracketed + b"\x04")
    terminal.expect("taken-42")
    assert (folder / "bracketed").read_bytes() == bracketed + b"\x04"
