"""The key that signs the local cloud's tokens: made once, kept in the state folder, readable by its owner only."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from localcloud.whole_file import FOR_THE_OWNER, write_whole

KEY_BITS = 2048
KEY_FILE = "identity-key.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """An RSA key with the id under which its public half is published."""

    private: rsa.RSAPrivateKey
    key_id: str

    def public_jwk(self) -> dict[str, str]:
        """Return the public half as an entry of a JWKS document (RFC 7517)."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.key_id,
            "n": _base64url(numbers.n),
            "e": _base64url(numbers.e),
        }

    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def new_key() -> SigningKey:
    return _named(rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS))


def kept_key(state: Path) -> SigningKey:
    """Return the state folder's key, making it on the first call; a damaged file is an error, never replaced."""
    path = state / KEY_FILE
    if not path.exists():
        write_whole(path, _pem(new_key().private), mode=FOR_THE_OWNER)
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise ValueError(f"{path} is not a readable key: {error}. Run `python -m localcloud clean`.") from error
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError(f"{path} is not an RSA key. Run `python -m localcloud clean`.")
    return _named(private)


def _named(private: rsa.RSAPrivateKey) -> SigningKey:
    digest = hashlib.sha256(str(private.public_key().public_numbers().n).encode()).hexdigest()
    return SigningKey(private=private, key_id=digest[:32])


def _pem(private: rsa.RSAPrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
