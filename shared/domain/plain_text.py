"""Text of somebody's as others may be shown it."""

from __future__ import annotations


def plain(text: str, longest: int | None = None) -> str:
    """Return the text without what is not printable, so that it steers no terminal and no page; cut where too long."""
    return "".join(sign for sign in text if sign.isprintable())[:longest]
