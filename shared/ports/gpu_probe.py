"""The proof of a GPU: `nvidia-smi -L` run in the container over the exec websocket (azure.md 3.2)."""

from __future__ import annotations

import re

from websockets.exceptions import ConnectionClosedOK, WebSocketException
from websockets.sync.client import ClientConnection, connect

from shared.ports.clock import elapsed_s
from shared.ports.container_apps import GpuProved, NoGpu, NotYet, WayIn

COMMAND = "nvidia-smi+-L"
BUDGET_S = 5.0
_GPU = re.compile(r"^GPU \d+: .+", re.MULTILINE)
_EXIT_CODE = re.compile(r"exit code (\d+)")
FORWARD, ERROR = 0, 2


def ask_nvidia_smi(way_in: WayIn) -> GpuProved | NoGpu | NotYet:
    """Return whether the container sees a GPU; NotYet where it could not be asked."""
    url = way_in.exec_url.replace("https://", "wss://", 1).replace("http://", "ws://", 1)
    headers = {"Authorization": f"Bearer {way_in.token}"}
    try:
        with connect(
            f"{url}?command={COMMAND}", additional_headers=headers, open_timeout=BUDGET_S, compression=None, proxy=None
        ) as socket:
            return verdict(*_read_all(socket))
    except (OSError, WebSocketException) as error:
        return NotYet(f"exec: {type(error).__name__}")


def _read_all(socket: ClientConnection) -> tuple[str, str, bool]:
    """Return what the command printed, what the service said of its end, and whether the connection broke before it."""
    printed, said = bytearray(), ""
    deadline_s = elapsed_s() + BUDGET_S
    while True:
        try:
            frame = socket.recv(timeout=max(0.05, deadline_s - elapsed_s()))
        except TimeoutError:
            return printed.decode(errors="replace"), "timed out", True
        except ConnectionClosedOK:
            return printed.decode(errors="replace"), said, False
        except WebSocketException:
            return printed.decode(errors="replace"), said, True
        data = frame.encode() if isinstance(frame, str) else frame
        if data[:1] == bytes([FORWARD]):
            printed += data[2:]
        elif data[:1] == bytes([ERROR]):
            said = data[1:].decode(errors="replace")


def verdict(printed: str, said: str, broken: bool) -> GpuProved | NoGpu | NotYet:
    """Return what the output of `nvidia-smi -L` and the service's last words mean.

    Half an output on a connection that broke proves nothing: the GPU's line may have been the other half.
    """
    found = _GPU.search(printed)
    if found and not said:
        return GpuProved(found.group().strip())
    if _EXIT_CODE.search(said) or (printed.strip() and not said and not broken):
        return NoGpu(printed.strip() or said)
    return NotYet(said or "the connection closed before nvidia-smi answered")
