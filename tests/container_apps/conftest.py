from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aca_harness import LocalCloud, running_cloud

from localcloud.container_apps import end_replicas, replicas_root


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with running_cloud(tmp_path) as running:
        # A test looks more often than a control plane may; the buckets have a test of their own.
        running.capacity(throttle={kind: [1e6, 1e6] for kind in ("reads", "writes", "deletes")})
        yield running
    assert end_replicas(replicas_root(tmp_path)) == 0, "the stand-in left processes behind"
