"""Outside bytes, as they were seen and as nobody would send them: no parser raises but what it says it raises.

Each file of the corpus is tried as it is, and changed in many ways. `DEVBOXGPU_FUZZ=100000 pytest tests/fuzz` goes on
for long; what it finds goes into the corpus, so that it is tried for ever.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fuzz.parsers import PARSERS

CORPUS = Path(__file__).parent / "corpus"
CASES = int(os.environ.get("DEVBOXGPU_FUZZ", "60"))
PIECES = [
    b"", b'"', b"\\", b"{", b"}", b"[" * 200, b",", b":", b"/", b"@", b"..", b"%00", b"\x00", b"\x1b[2J", b"\r\n",
    b"\xff", b"\x1e", b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"9" * 40, b"9" * 400, b"\\ud800", b"'",
    "İſK".encode(), "\u202e".encode(),
]  # fmt: skip


def files_of(name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]


@st.composite
def changed(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Return a file of the corpus with pieces cut out, put in or repeated."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 5))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 12)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=4) | st.just(data[begin:end] * 2))
        data = data[:begin] + piece + data[end:]
    return data


def test_every_parser_has_a_corpus_and_every_corpus_a_parser():
    assert {folder.name for folder in CORPUS.iterdir()} == set(PARSERS)


@pytest.mark.parametrize(
    ("name", "file"), [(name, path.name) for name in PARSERS for path in sorted((CORPUS / name).iterdir())]
)
def test_what_is_in_the_corpus_is_read_or_refused(name, file):
    PARSERS[name]((CORPUS / name / file).read_bytes())


@pytest.mark.parametrize("name", PARSERS)
def test_whatever_comes_is_read_or_refused(name):
    parser = PARSERS[name]

    @settings(
        max_examples=CASES, deadline=None, derandomize=CASES < 1000, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=changed(files_of(name)) | st.binary(max_size=64))
    @example(data=b"")
    def fuzz(data: bytes) -> None:
        parser(data)

    fuzz()
