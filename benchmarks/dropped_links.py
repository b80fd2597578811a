"""Connections of a link that the service cuts, one after the other, while output streams over it."""

from __future__ import annotations

import asyncio
import hashlib
import random
from typing import TYPE_CHECKING

from devboxgpu.configuration import load
from devboxgpu.connector import Connector

if TYPE_CHECKING:
    from benchmarks.shell_probe import CommandLine

CUT_AFTER = 200_000
"""Bytes of output on one connection."""
BLOCK = 8192
SPEAKS = """
import os, random, sys
numbers = random.Random(8)
for _ in range(int(sys.argv[1])):
    data = numbers.randbytes(8192)
    while data:
        data = data[os.write(1, data):]
"""
"""The same bytes each time, so that they can be told at our end."""


async def dropped(line: CommandLine, shell: str, drops: int) -> tuple[list[float], bool, int]:
    """Seconds without a connection at each drop; whether what came is what was written; and how much that was."""
    blocks = (drops + 2) * CUT_AFTER * 5 // 4 // BLOCK  # a connection may carry more than that before it is cut
    line.fault("exec_drop_after", {"value": {"bytes": CUT_AFTER}, "count": drops})
    configuration = load(endpoint=None, project=None, environ=line.environment)
    link = await Connector(configuration.control_plane(), shell).link()
    gone_s: list[float] = []
    link.on_back = gone_s.append
    digest, size = hashlib.sha256(), 0
    argv = ["python3", "-c", SPEAKS, str(blocks)]
    request = {"what": "program", "program": "bench-drops", "argv": argv, "terminal": False, "env": {}}
    stream = await link.open(request)
    async with asyncio.timeout(600):
        while (piece := await stream.read()) is not None:
            digest.update(piece[0])
            size += len(piece[0])
        result = await stream.result()
    await link.close()
    numbers, written = random.Random(8), hashlib.sha256()
    for _ in range(blocks):
        written.update(numbers.randbytes(BLOCK))
    return gone_s, result == {"exit": 0} and digest.digest() == written.digest(), size
