"""What `login` leaves behind: which account, and by which way. No secret: tokens are in the encrypted cache."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from devboxgpu.errors import SignInError
from devboxgpu.whole_file import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    way: str
    """broker, browser or device-code."""
    record: str
    """azure-identity's AuthenticationRecord, as text."""
    username: str
    client_id: str
    is_unencrypted: bool
    """Whether the person allowed that tokens are kept in a plain file."""


def remembered_file() -> Path:
    import platformdirs

    return platformdirs.user_data_path("devboxgpu", appauthor=False) / "sign_in.json"


def recall(file: Path) -> SignedIn | None:
    """Who signed in last; None where nobody did. Raises SignInError for a file that cannot be read."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return SignedIn(**data)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SignInError(f"{file} cannot be read ({error}): 'devboxgpu login' writes it anew") from None


def remember(file: Path, signed_in: SignedIn) -> None:
    """Raises SignInError where it cannot be written."""
    try:
        write_whole(file, (json.dumps(asdict(signed_in), indent=2) + "\n").encode())
    except OSError as error:
        raise SignInError(f"{file} cannot be written: {error.strerror or error}") from None
