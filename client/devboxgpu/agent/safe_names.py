"""Which names in a copied tree stay inside of it: the other end may be anybody's, and is not believed.

A name is the way from the top of the tree, its parts separated by `/`; "" is the top itself.
"""

from __future__ import annotations

PART_SUFFIX = ".devboxgpu-part"
"""How the names of unfinished files end; they are never copied."""

_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"]
    + [device + digit for device in ("COM", "LPT") for digit in "123456789\u00b9\u00b2\u00b3"]
)
_NOT_ON_WINDOWS = frozenset('\\:<>"|?*')


def unsafe(name: str, *, windows: bool) -> str:
    """Why a file of this name must not be written below the top of a tree; "" where it may."""
    if not name:
        return ""
    if "\0" in name:
        return "has a NUL in it"
    if name.startswith("/"):
        return "is absolute"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return "leads out of the tree, or is no plain name"
        if windows and (why := _unsafe_on_windows(part)):
            return why
    return ""


def _unsafe_on_windows(part: str) -> str:
    if any(sign in _NOT_ON_WINDOWS or ord(sign) < ord(" ") for sign in part):
        return "has a sign in it that Windows does not allow in names"
    if part.endswith((".", " ")):
        return "ends in a dot or a space, which Windows drops"
    if part.split(".", 1)[0].rstrip(" ").upper() in _RESERVED:
        return "is the name of a device on Windows"
    return ""


def leaves_tree(name: str, target: str) -> bool:
    """Whether the symbolic link of this name might lead out of the tree that it is in.

    `..` counts at the beginning only: after another part, which may be a link itself, it may lead anywhere.
    """
    if not target or target.startswith(("/", "\\")) or "\0" in target or ":" in target.split("/", 1)[0]:
        return True
    parts = [part for part in target.replace("\\", "/").split("/") if part not in ("", ".")]
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    return up > name.count("/") or ".." in parts[up:]
