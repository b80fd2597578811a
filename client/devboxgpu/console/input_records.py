"""Windows' INPUT_RECORD as it lies in memory, and what it means. Its layout is the same on every system."""

from __future__ import annotations

import ctypes

from devboxgpu.console.kernel import BufferResized, InputEvent, Key, OtherEvent

KEY_EVENT, WINDOW_BUFFER_SIZE_EVENT = 0x0001, 0x0004


class KEY_EVENT_RECORD(ctypes.Structure):  # noqa: N801 - the system's name
    _fields_ = (
        ("bKeyDown", ctypes.c_int32),
        ("wRepeatCount", ctypes.c_uint16),
        ("wVirtualKeyCode", ctypes.c_uint16),
        ("wVirtualScanCode", ctypes.c_uint16),
        ("UnicodeChar", ctypes.c_uint16),
        ("dwControlKeyState", ctypes.c_uint32),
    )


class EVENT(ctypes.Union):
    _fields_ = (("KeyEvent", KEY_EVENT_RECORD), ("Other", ctypes.c_uint8 * 16))


class INPUT_RECORD(ctypes.Structure):  # noqa: N801 - the system's name
    _fields_ = (("EventType", ctypes.c_uint16), ("Event", EVENT))


def event_of(record: INPUT_RECORD) -> InputEvent:
    if record.EventType == WINDOW_BUFFER_SIZE_EVENT:
        return BufferResized()
    if record.EventType != KEY_EVENT:
        return OtherEvent()
    key = record.Event.KeyEvent
    return Key(
        is_down=bool(key.bKeyDown),
        repeat=key.wRepeatCount,
        virtual_key=key.wVirtualKeyCode,
        unit=key.UnicodeChar,
        state=key.dwControlKeyState,
    )
