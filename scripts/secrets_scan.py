"""Look for secrets in the tree, as part of `make check`: detect-secrets; `.secrets.baseline` lists what is none.

A file that was found clean is not read again until it or the baseline changes. `--accept` takes the present findings as
known to be no secrets (made-up tokens of tests, ids): look at each one first.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

from detect_secrets.core import baseline
from detect_secrets.core.potential_secret import PotentialSecret
from detect_secrets.core.scan import scan_file
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / ".secrets.baseline"
SEEN = ROOT / ".ruff_cache" / "secrets-seen.json"  # beside the other linter's memory; not committed
NOT_OURS = {"node_modules", "__pycache__", "build", "results"}
LOCKS = {"package-lock.json", "local.settings.json", ".secrets.baseline"}
"""Files of hashes, and the one that holds a person's own settings and is never committed."""
PLUGINS = (
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "Base64HighEntropyString",
    "BasicAuthDetector",
    "GitHubTokenDetector",
    "HexHighEntropyString",
    "JwtTokenDetector",
    "KeywordDetector",
    "NpmDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
)
LIMITS = {"Base64HighEntropyString": {"limit": 4.5}, "HexHighEntropyString": {"limit": 3.0}}
HEURISTICS = (
    "is_indirect_reference",
    "is_likely_id_string",
    "is_lock_file",
    "is_not_alphanumeric_string",
    "is_potential_uuid",
    "is_prefixed_with_dollar_sign",
    "is_sequential_string",
    "is_templated_secret",
)
MANY = 40
SETTINGS: dict[str, Any] = {
    "plugins_used": [{"name": name, **LIMITS.get(name, {})} for name in PLUGINS],
    "filters_used": [
        {"path": "detect_secrets.filters.allowlist.is_line_allowlisted"},
        *({"path": f"detect_secrets.filters.heuristic.{name}"} for name in HEURISTICS),
    ],
}


def main() -> int:
    os.chdir(ROOT)  # findings are known by their path from here
    files = {str(path.relative_to(ROOT)): path.read_bytes() for path in sorted(tree(ROOT))}
    if "--accept" in sys.argv:
        accept(files)
        return 0
    known = BASELINE.read_bytes() + json.dumps(SETTINGS).encode()
    seen = {name: sha256(known + content).hexdigest() for name, content in files.items()}
    clean = _remembered()
    doubtful = [name for name, digest in seen.items() if clean.get(name) != digest]
    found = new_findings(doubtful, _known())
    for secret in found:
        print(f"secrets: {secret.filename}:{secret.line_number}: {secret.type}", file=sys.stderr)
    SEEN.parent.mkdir(exist_ok=True)
    SEEN.write_text(json.dumps({n: d for n, d in seen.items() if n not in {secret.filename for secret in found}}))
    return 1 if found else 0


def tree(folder: Path) -> Iterator[Path]:
    """Yield the files that are ours: no environment, no cache, nothing that a package manager brought, no locks."""
    for path in folder.iterdir():
        if path.is_dir():
            hidden = path.name.startswith(".") and path.name != ".ci"
            if not (hidden or path.is_symlink() or path.name in NOT_OURS or path.name.endswith(".egg-info")):
                yield from tree(path)
        elif path.name not in LOCKS and not _is_lock(path):
            yield path


def _is_lock(path: Path) -> bool:
    return path.suffix == ".txt" and (path.name == "requirements.txt" or path.parent.name == "requirements")


def findings(names: Iterable[str]) -> list[PotentialSecret]:
    """Return what looks like a secret in these files. Many are read by two processes: it is slow work."""
    names = list(names)
    if len(names) < MANY:
        return _findings(names)
    with ProcessPoolExecutor(2) as pool:
        return [secret for found in pool.map(_findings, (names[::2], names[1::2])) for secret in found]


def _findings(names: list[str]) -> list[PotentialSecret]:
    with transient_settings(SETTINGS):
        return [secret for name in names for secret in scan_file(name)]


def new_findings(names: Iterable[str], known: set[tuple[str, str]]) -> list[PotentialSecret]:
    """Return what looks like a secret and is not known to be none. A known one is known in its file only."""
    return [secret for secret in findings(names) if (secret.filename, secret.secret_hash) not in known]


def accept(names: Iterable[str]) -> None:
    """Write the present findings into the baseline, in detect-secrets' own form."""
    secrets = SecretsCollection()
    for secret in findings(names):
        secrets[secret.filename].add(secret)
    with transient_settings(SETTINGS):
        told = baseline.format_for_output(secrets, is_slim_mode=True)
    BASELINE.write_text(json.dumps(told, indent=2) + "\n")


def _known() -> set[tuple[str, str]]:
    listed: dict[str, list[dict[str, Any]]] = json.loads(BASELINE.read_text())["results"]
    return {(name, entry["hashed_secret"]) for name, entries in listed.items() for entry in entries}


def _remembered() -> dict[str, str]:
    try:
        remembered: dict[str, str] = json.loads(SEEN.read_text())
    except (OSError, ValueError):
        return {}
    return remembered


if __name__ == "__main__":
    sys.exit(main())
