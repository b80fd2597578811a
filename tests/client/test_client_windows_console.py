"""The console of Windows, on every system, over a kernel32 that the test holds."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import struct

import pytest
from fake_kernel32 import COOKED, RESIZED, FakeKernel32, typed
from hypothesis import given
from hypothesis import strategies as st

from devboxgpu.console import kernel as win
from devboxgpu.console.closing import watch_closing
from devboxgpu.console.input_records import INPUT_RECORD, event_of
from devboxgpu.console.kernel import BufferResized, Interrupted, Key, OtherEvent
from devboxgpu.console.keys import KeyBytes
from devboxgpu.console.size import Size
from devboxgpu.console.windows import ConsoleError, WindowsConsole
from devboxgpu.console.windows_output import WindowsOutput

BEFORE = ({3: COOKED, 7: win.PROCESSED_OUTPUT, 11: 1}, (437, 850))


def state(kernel: FakeKernel32) -> tuple[dict[int, int], tuple[int, int]]:
    return dict(kernel.modes), kernel.pages


def test_raw_sets_what_a_remote_terminal_needs_and_leaves_the_rest() -> None:
    kernel = FakeKernel32()

    with WindowsConsole(kernel).raw():
        assert kernel.modes[3] == win.VIRTUAL_TERMINAL_INPUT | win.WINDOW_INPUT | 0x0040 | 0x0080
        assert kernel.modes[7] == (
            win.PROCESSED_OUTPUT | win.VIRTUAL_TERMINAL_PROCESSING | win.DISABLE_NEWLINE_AUTO_RETURN
        )
        assert kernel.pages == (65001, 65001)

    assert state(kernel) == BEFORE


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_the_modes_are_restored_whatever_happens(error: type[BaseException]) -> None:
    kernel = FakeKernel32()

    with pytest.raises(error), WindowsConsole(kernel).raw():
        raise error

    assert state(kernel) == BEFORE


def test_restoring_twice_or_without_having_been_raw_changes_nothing() -> None:
    kernel = FakeKernel32()
    console = WindowsConsole(kernel)

    console.restore()
    assert kernel.history == []
    with console.raw():
        console.restore()
        assert state(kernel) == BEFORE
        kernel.modes[3] = 1
    assert kernel.modes[3] == 1, "what was set since is not ours to undo"


def test_at_the_end_of_a_crashed_process_the_modes_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    registered: list[object] = []
    monkeypatch.setattr("atexit.register", registered.append)
    kernel = FakeKernel32()
    entered = WindowsConsole(kernel).raw()
    entered.__enter__()

    (restore,) = registered
    assert callable(restore)
    restore()

    assert state(kernel) == BEFORE


def test_a_console_without_newline_auto_return_is_used_all_the_same() -> None:
    kernel = FakeKernel32(refused_modes={7: win.DISABLE_NEWLINE_AUTO_RETURN})

    with WindowsConsole(kernel).raw():
        assert kernel.modes[7] == win.PROCESSED_OUTPUT | win.VIRTUAL_TERMINAL_PROCESSING

    assert state(kernel) == BEFORE


@pytest.mark.parametrize("unknown", [{3: win.VIRTUAL_TERMINAL_INPUT}, {7: win.VIRTUAL_TERMINAL_PROCESSING}])
def test_a_console_that_is_too_old_is_said_so_and_left_as_it_was(unknown: dict[int, int]) -> None:
    kernel = FakeKernel32(refused_modes=unknown)

    with pytest.raises(ConsoleError, match="Windows 10 1809"), WindowsConsole(kernel).raw():
        pytest.fail("it is no terminal")

    assert state(kernel) == BEFORE


@pytest.mark.parametrize("consoles", [set(), {win.INPUT}, {win.OUTPUT}])
def test_what_is_redirected_is_left_alone(consoles: set[int]) -> None:
    kernel = FakeKernel32(consoles=consoles)

    with WindowsConsole(kernel).raw():
        touched = {handle for handle, _ in kernel.history}

    assert touched == {win.INPUT: {3}, win.OUTPUT: {7}}.get(next(iter(consoles), 0), set())
    assert state(kernel) == BEFORE


def test_code_pages_that_cannot_be_set_are_not_needed() -> None:
    kernel = FakeKernel32(refuses_code_pages=True)

    with WindowsConsole(kernel).raw():
        assert kernel.modes[3] & win.VIRTUAL_TERMINAL_INPUT

    assert state(kernel) == BEFORE


def test_keys_are_read_as_the_bytes_that_a_terminal_sends() -> None:
    kernel = FakeKernel32(event_reads=[typed("\x1b[A"), [RESIZED, OtherEvent()], typed("é🚀\x03\r")])
    console = WindowsConsole(kernel)

    with console.raw():
        assert console.read() == b"\x1b[A"
        assert console.read() == "é🚀\x03\r".encode()
        assert console.read() == b"", "the console has gone"


def test_a_character_whose_halves_come_in_two_reads_is_whole() -> None:
    whole = typed("a🚀b")
    kernel = FakeKernel32(event_reads=[whole[:3], whole[3:]])
    console = WindowsConsole(kernel)

    with console.raw():
        assert console.read() + console.read() == "a🚀b".encode()


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (Key(is_down=True, repeat=3, virtual_key=0x41, unit=ord("a")), b"aaa"),
        (Key(is_down=False, repeat=1, virtual_key=0x41, unit=ord("a")), b""),
        (Key(is_down=True, repeat=1, virtual_key=0x10, unit=0), b""),
        (Key(is_down=True, repeat=1, virtual_key=win.VK_SPACE, unit=0, state=0x0008), b"\0"),
        (Key(is_down=True, repeat=1, virtual_key=win.VK_SPACE, unit=0), b""),
        (Key(is_down=True, repeat=1, virtual_key=0, unit=0), b"\0"),
        (Key(is_down=False, repeat=1, virtual_key=win.VK_MENU, unit=0xE9), "é".encode()),
        (Key(is_down=False, repeat=1, virtual_key=win.VK_MENU, unit=0), b""),
        (Key(is_down=True, repeat=1, virtual_key=0, unit=0xDE80), "\ufffd".encode()),
    ],
    ids=["repeated", "let go", "shift alone", "ctrl-space", "space", "nul", "alt and number", "alt alone", "half"],
)
def test_one_key(event: Key, data: bytes) -> None:
    assert KeyBytes().of([event]) == data


@given(st.text(max_size=40), st.integers(1, 7))
def test_any_text_arrives_whole_however_it_is_cut(text: str, at_once: int) -> None:
    keys, events = KeyBytes(), typed(text)

    read = b"".join(keys.of(events[at : at + at_once]) for at in range(0, len(events), at_once))

    assert read == text.encode()


def test_a_new_size_is_told_by_the_console() -> None:
    sizes = [Size(80, 24)]
    kernel = FakeKernel32(event_reads=[[RESIZED], typed("x")])
    console = WindowsConsole(kernel, measure=lambda: sizes[-1])

    async def first_change() -> Size:
        changes = console.sizes()
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)  # it listens now
        sizes.append(Size(132, 50))
        await asyncio.to_thread(console.read)
        return await waiting

    with console.raw():
        assert asyncio.run(first_change()) == Size(132, 50)


def test_a_new_size_is_found_where_the_console_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devboxgpu.console.windows.SIZE_POLL_S", 0.001)
    sizes = iter([Size(80, 24), Size(80, 24), Size(100, 30)])

    async def first_change() -> Size:
        return await anext(WindowsConsole(FakeKernel32(), measure=lambda: next(sizes)).sizes())

    assert asyncio.run(first_change()) == Size(100, 30)


def test_lines_are_read_where_the_console_is_not_raw() -> None:
    kernel = FakeKernel32(line_reads=["abc\r\n", Interrupted, "long", " é\r", "\n", "\x1a\r\n"])
    console = WindowsConsole(kernel)

    assert [console.read() for _ in range(5)] == [b"abc\n", b"long", " é".encode(), b"\n", b""]


def test_ctrl_z_within_a_line_is_a_character() -> None:
    console = WindowsConsole(FakeKernel32(line_reads=["ab", "\x1acd\r\n", None]))

    assert [console.read(), console.read(), console.read()] == [b"ab", b"\x1acd\n", b""]


def test_redirected_input_is_read_as_it_is_and_ends_when_its_writer_has_gone() -> None:
    answers = [b"\xff\x00\r\n", OSError(errno.EINVAL, "Invalid argument")]

    def read_pipe() -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    console = WindowsConsole(FakeKernel32(consoles=set()), read_pipe=read_pipe)

    assert console.read() == b"\xff\x00\r\n"
    assert console.read() == b""


@given(st.text(max_size=30), st.integers(1, 5))
def test_output_comes_out_whole_however_it_is_cut(text: str, at_once: int) -> None:
    kernel, data = FakeKernel32(), text.encode()
    output = WindowsOutput(kernel, 1)

    for at in range(0, len(data), at_once):
        output.write(data[at : at + at_once])

    assert "".join(kernel.written.get(7, [])) == text


def test_output_that_is_no_text_is_shown_as_terminals_do_and_goes_on() -> None:
    kernel = FakeKernel32()
    output = WindowsOutput(kernel, 2)

    output.write(b"\xe9t\xe9 ")
    output.write("été".encode())

    assert "".join(kernel.written[11]) == "\ufffdt\ufffd été"


def test_long_output_is_written_in_pieces_that_every_console_takes() -> None:
    kernel = FakeKernel32()

    WindowsOutput(kernel, 1).write("🚀".encode() * 20_000)

    assert max(len(piece.encode("utf-16-le")) // 2 for piece in kernel.written[7]) <= 16_384
    assert "".join(kernel.written[7]) == "🚀" * 20_000


def test_a_console_that_has_gone_is_a_broken_pipe() -> None:
    with pytest.raises(BrokenPipeError):
        WindowsOutput(FakeKernel32(write_fails=True), 1).write(b"x")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EINVAL])
def test_redirected_output_is_unchanged_and_tells_when_nobody_reads(number: int) -> None:
    taken: list[bytes] = []

    def write_pipe(descriptor: int, data: memoryview) -> int:
        assert descriptor == 1
        if len(taken) == 3:
            raise OSError(number, "gone")
        taken.append(bytes(data[:2]))
        return len(taken[-1])

    output = WindowsOutput(FakeKernel32(consoles={win.INPUT}), 1, write_pipe=write_pipe)
    output.write(b"\xf0\x9f\r\n\xff")
    assert b"".join(taken) == b"\xf0\x9f\r\n\xff"

    with pytest.raises(BrokenPipeError):
        output.write(b"more")


def test_another_failure_of_redirected_output_is_not_taken_for_a_reader_that_left() -> None:
    def write_pipe(_descriptor: int, _data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full") as full:
        WindowsOutput(FakeKernel32(consoles=set()), 1, write_pipe=write_pipe).write(b"x")
    assert not isinstance(full.value, BrokenPipeError)


@pytest.mark.parametrize("event", [win.CTRL_CLOSE, win.CTRL_LOGOFF, win.CTRL_SHUTDOWN])
def test_closing_the_console_hangs_up_and_holds_the_end_off(event: int) -> None:
    kernel = FakeKernel32()
    order: list[object] = []

    assert watch_closing(
        kernel, lambda: order.append("hang up"), lambda: order.append("restore"), wait=lambda s: order.append(s < 5)
    )
    assert kernel.handler is not None
    assert kernel.handler(event)
    assert order == ["hang up", True, "restore"]


def test_ctrl_c_and_ctrl_break_are_left_to_python() -> None:
    kernel = FakeKernel32()
    watch_closing(kernel, lambda: pytest.fail("no close"), lambda: None, wait=lambda _: None)

    assert kernel.handler is not None
    assert [kernel.handler(event) for event in (0, 1)] == [False, False]


def test_the_records_of_the_system_are_read_as_they_lie_in_memory() -> None:
    assert ctypes.sizeof(INPUT_RECORD) == 20
    key = struct.pack("<HxxiHHHHI", 1, 1, 2, 0x41, 30, 0xD83D, 0x0008)
    resized = struct.pack("<Hxxhh12x", 4, 120, 30)
    mouse = struct.pack("<Hxx16x", 2)

    assert event_of(INPUT_RECORD.from_buffer_copy(key)) == Key(
        is_down=True, repeat=2, virtual_key=0x41, unit=0xD83D, state=0x0008
    )
    assert event_of(INPUT_RECORD.from_buffer_copy(resized)) == BufferResized()
    assert event_of(INPUT_RECORD.from_buffer_copy(mouse)) == OtherEvent()
