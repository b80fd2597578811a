"""The local cloud's life: its processes, their ports and settings, start, stop and state."""

from localcloud.stack.local_cloud import LocalCloud
from localcloud.stack.problem import StackProblemError

__all__ = ["LocalCloud", "StackProblemError"]
