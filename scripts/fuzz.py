"""Fuzz the running host by its own document: `make fuzz [CASES=150] [SEED=1]`. Thousands of requests, minutes.

A local cloud of its own is started, with state that is thrown away. Requests are sent as the administrator of `demo`,
who has a Dev Box there. Wanted: no failure, no status and no answer that the document does not name.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from localcloud.stack import LocalCloud

ROOT = Path(__file__).resolve().parent.parent
SENDER = "carol"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "only_named_statuses",
)
SHORT_TIMES = {
    "DEVBOXGPU_LEASE_SECONDS": "5",
    "DEVBOXGPU_WINDOW_SECONDS": "3",
    "DEVBOXGPU_SHORTEST_MINUTES": "0.01",
    "DEVBOXGPU_USER_REQUESTS_PER_MINUTE": "1000000",  # what is behind the limits is to be tried
    "DEVBOXGPU_USER_OPENINGS_PER_MINUTE": "1000000",
    "DEVBOXGPU_PROJECT_REQUESTS_PER_MINUTE": "1000000",
}


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        cloud = LocalCloud(Path(folder) / "state", settings=SHORT_TIMES, environment=dict(os.environ))
        cloud.up()
        try:
            return fuzz(cloud, folder)
        finally:
            cloud.down()


def fuzz(cloud: LocalCloud, folder: str) -> int:
    """Run schemathesis against the host; return its verdict: 0 where nothing was found."""
    api = cloud.endpoints["api"]
    words = [
        *("run", f"{api}/openapi.json", "--url", api, "--header", f"Authorization: Bearer {cloud.token(SENDER)}"),
        *("--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing,stateful", "--continue-on-failure"),
        *("--max-examples", os.environ.get("CASES", "150"), "--seed", os.environ.get("SEED", "1")),
        *("--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off"),
    ]
    aims = {**os.environ, "SCHEMATHESIS_HOOKS": "scripts.fuzz_checks", "PYTHONPATH": str(ROOT), "NO_PROXY": "*"}
    program = Path(sys.executable).with_name("schemathesis")
    return subprocess.run([program, *words], env=aims, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
