"""The agent as one file that Python runs: what the command brings into a container (docs/agent.md)."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib import resources

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can say: the file depends on what is in it, and on nothing else."""
_MODE = 0o100644 << 16
_START = b"import sys\n\nfrom devboxgpu_agent.main import main\n\nsys.exit(main(sys.argv))\n"


@dataclass(frozen=True)
class AgentFile:
    data: bytes
    name: str
    """`agent-HASH.pyz`: another version of the agent has another name, and lives beside this one."""
    hash: str


@cache
def agent_file() -> AgentFile:
    """Made of the package's source, which is also in an installed wheel."""
    package = resources.files("devboxgpu.agent")
    sources = {f"devboxgpu_agent/{file.name}": file.read_bytes() for file in package.iterdir() if _is_source(file.name)}
    data = _zipped({"__main__.py": _START, **sources})
    digest = hashlib.sha256(data).hexdigest()[:16]
    return AgentFile(data, f"agent-{digest}.pyz", digest)


def _is_source(name: str) -> bool:
    return name.endswith(".py")


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, _MODE, 3
            archive.writestr(entry, files[name])
    return buffer.getvalue()
