"""Percent-encoding as the vendor's web server reads and writes it (reference/functions-host.md 4.3)."""

import codecs
import re

_ESCAPES = re.compile(r"(?:%(?!2[fF])[0-9a-fA-F]{2})+")
_ALL_ESCAPES = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_TO_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]")
_KEEP_INVALID = "functions-host-keep-invalid"


def _escape_again(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    bad = error.object[error.start : error.end]
    return "".join(f"%{byte:02X}" for byte in bad), error.end


codecs.register_error(_KEEP_INVALID, _escape_again)


def decode_path(raw: str) -> str:
    """Decode all escapes but %2F and those that are not UTF-8, then remove `.` and `..` segments."""
    path = _ESCAPES.sub(_decoded, raw) if "%" in raw else raw
    return _without_dot_segments(path) if "/." in path else path


def encode_path(path: str) -> str:
    """Write a decoded path as a URL has it; what looks like an escape is left alone."""
    return _TO_ESCAPE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), path)


def read_query(raw: str) -> dict[str, str]:
    """The query as a function sees it: repeated names, in any case, joined by commas; empty values dropped."""
    values: dict[str, list[str]] = {}
    spelling: dict[str, str] = {}
    for pair in raw.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        name = decode_query(name)
        values.setdefault(name.lower(), []).append(decode_query(value))
        spelling[name.lower()] = name
    joined = {spelling[folded]: ",".join(found) for folded, found in values.items()}
    return {name: value for name, value in joined.items() if value}


def decode_query(text: str) -> str:
    """Decode a name or value of a query."""
    return _ALL_ESCAPES.sub(_decoded, text.replace("+", " "))


def _decoded(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", errors=_KEEP_INVALID)


def _without_dot_segments(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")
    for position, segment in enumerate(segments):
        is_last = position == len(segments) - 1
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
            kept.extend([""] if is_last else [])
        elif segment == ".":
            kept.extend([""] if is_last else [])
        else:
            kept.append(segment)
    return "/".join(kept)
