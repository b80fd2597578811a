"""What can go wrong with a file, under the same names at both ends (docs/agent.md)."""

from __future__ import annotations

import errno
from typing import Any

CODES = {
    errno.ENOENT: "NotFound",
    errno.EISDIR: "IsDirectory",
    errno.ENOTDIR: "NotDirectory",
    errno.EEXIST: "Exists",
    errno.EACCES: "PermissionDenied",
    errno.EPERM: "PermissionDenied",
    errno.EROFS: "PermissionDenied",
    errno.ENOSPC: "NoSpace",
    errno.EDQUOT: "NoSpace",
    errno.EFBIG: "NoSpace",
}


class FileError(Exception):
    """A file could not be copied; `code` is one of those in docs/agent.md, and the text names the file."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def of(cls, path: str, error: OSError) -> FileError:
        code = CODES.get(error.errno or 0, "FileFailed")
        return cls(code, f"{path}: {error.strerror or error}")

    def result(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": str(self)}}
