from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devboxgpu.exec_frames import (
    LARGEST_INPUT,
    Failure,
    Info,
    InputSplitter,
    Output,
    decode,
    resize_frame,
)


def payloads(frames: list[str | bytes]) -> list[bytes]:
    return [(frame.encode() if isinstance(frame, str) else frame)[2:] for frame in frames]


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(st.text(max_size=3000), st.lists(st.integers(min_value=0), max_size=8))
def test_text_cut_anywhere_goes_out_whole_and_as_text_frames_only(text: str, cuts: list[int]) -> None:
    splitter = InputSplitter()

    frames = [frame for piece in pieces_of(text.encode(), cuts) for frame in splitter.feed(piece)]

    assert b"".join(payloads(frames)) == text.encode()
    assert all(isinstance(frame, str) for frame in frames)
    assert not splitter.keeps_bytes


@given(st.lists(st.binary(max_size=5000), max_size=6))
def test_any_bytes_go_out_unchanged_in_frames_of_at_most_two_kibibytes(pieces: list[bytes]) -> None:
    splitter = InputSplitter()

    frames = [frame for piece in pieces for frame in splitter.feed(piece)] + splitter.flush()

    assert b"".join(payloads(frames)) == b"".join(pieces)
    assert all(0 < len(payload) <= LARGEST_INPUT for payload in payloads(frames))


def test_bytes_that_are_no_text_go_out_as_a_binary_frame() -> None:
    assert InputSplitter().feed(b"\xff\xfe!") == [b"\x00\x00\xff\xfe!"]


def test_the_beginning_of_a_character_waits_for_its_rest() -> None:
    splitter = InputSplitter()

    assert splitter.feed("é".encode()[:1]) == []
    assert splitter.keeps_bytes
    assert splitter.feed("é".encode()[1:]) == ["\x00\x00é"]


def test_output_is_bytes_and_is_not_decoded() -> None:
    assert decode(b"\x00\x01\xc3") == Output(b"\xc3")
    assert decode(b"\x00\x02oops") == Output(b"oops")


def test_information_is_told_apart_from_output() -> None:
    assert decode(b"\x01Connecting") == Info("Connecting")


@pytest.mark.parametrize("unknown", [b"", b"\x00", b"\x00\x07x", b"\x09hello"])
def test_frames_of_unknown_channels_mean_nothing(unknown: bytes) -> None:
    assert decode(unknown) is None


def test_the_exit_code_is_read_from_the_error_frame() -> None:
    message = "Cluster exec API returns error: command terminated with non-zero exit code: [/bin/sh], exit code 137. "
    frame = b"\x02" + json.dumps({"Error": {"Code": "ClusterExecFailure", "Message": message}}).encode()

    assert decode(frame) == Failure(code="ClusterExecFailure", text=message, exit_code=137)


@pytest.mark.parametrize("text", ["not JSON", "[1]", '{"Error": null}', '"x"'])
def test_an_error_frame_of_another_shape_is_kept_as_text_without_a_code(text: str) -> None:
    assert decode(b"\x02" + text.encode()) == Failure(code="", text=text, exit_code=None)


def test_the_size_has_the_services_spelling() -> None:
    frame = resize_frame(101, 37)

    assert frame[:2] == "\x00\x04"
    assert json.loads(frame[2:]) == {"Width": 101, "Height": 37}
