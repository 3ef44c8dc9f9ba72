"""The key that signs checkpoints (Ed25519): in a folder outside the database, with every public key that there was.

`signing-key.pem` is the private key, for its owner only. `public-keys.json` lists the public ones, oldest first. When a key
follows another, each of the two signs the other: whoever trusts one of them can trust the other.
"""

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from civicpulse.audit.merkle import canonical

PRIVATE: Final = "signing-key.pem"
PUBLIC: Final = "public-keys.json"


class NoKey(RuntimeError):
    """There is no key to sign with, or it cannot be used; the message says what to do."""


def key_id(public: bytes) -> str:
    """Names a public key: the first half of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:32]


def is_signed(public: bytes, signature: str, message: bytes) -> bool:
    """Tells whether `signature` (base64) is that key's of `message`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(base64.b64decode(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def succession(one: str, other: str) -> bytes:
    """Writes the words by which a key vouches for another one: their public parts in base64, its own first."""
    return canonical({"format": "civicpulse-key-1", "key": one, "vouches_for": other})


@dataclass(frozen=True, slots=True)
class Key:
    """A private key, loaded."""

    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """The raw 32 bytes of the public part."""
        return self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> str:
        """How documents name it."""
        return key_id(self.public)

    def sign(self, message: bytes) -> str:
        """Signs `message`: the signature, in base64."""
        return base64.b64encode(self.private.sign(message)).decode()


class Keyring:
    """The keys in a folder. Read anew each time: a key that was changed is used at once, by every process."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) if folder else None

    def current(self) -> Key:
        """Reads the key to sign with. Raises NoKey."""
        path = self._path(PRIVATE)
        try:
            loaded = load_pem_private_key(path.read_bytes(), password=None)
        except FileNotFoundError:
            raise NoKey(f"There is no key in {path.parent}: make one with 'civicpulse audit key rotate'.") from None
        except (OSError, ValueError) as error:
            raise NoKey(f"{path} cannot be read as a private key: {error}") from None
        if not isinstance(loaded, Ed25519PrivateKey):
            raise NoKey(f"{path} holds no Ed25519 key.")
        return Key(loaded)

    def entries(self) -> list[dict[str, Any]]:
        """Reads the public keys, oldest first: id, public (base64), since, and who vouches for it."""
        if self.folder is None or not (self.folder / PUBLIC).exists():
            return []
        found: list[dict[str, Any]] = json.loads((self.folder / PUBLIC).read_text())
        return found

    def public_keys(self) -> dict[str, bytes]:
        """Reads the raw public keys by id."""
        raw = [base64.b64decode(entry["public"]) for entry in self.entries()]
        return {key_id(public): public for public in raw}

    def rotate(self, *, at: datetime) -> Key:
        """Makes a new key, the first one or the next: the one before and the new one vouch for each other."""
        path, entries = self._path(PRIVATE), self.entries()
        before = self.current() if path.exists() else None
        made = Key(Ed25519PrivateKey.generate())
        entry: dict[str, Any] = {"id": made.id, "public": _text(made.public), "since": at.isoformat(), "vouched": []}
        if before is not None:
            entry["vouched"] = [_voucher(before, made)]
            next(one for one in entries if one["id"] == before.id)["vouched"].append(_voucher(made, before))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path.parent / PUBLIC, json.dumps([*entries, entry], indent=2).encode(), mode=0o644)
        _write(path, made.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
        return made

    def _path(self, name: str) -> Path:
        if self.folder is None:
            raise NoKey("No folder of keys is set: set CIVICPULSE_AUDIT_DIR, or give --data.")
        return self.folder / name


def _voucher(one: Key, other: Key) -> dict[str, str]:
    return {"by": one.id, "signature": one.sign(succession(_text(one.public), _text(other.public)))}


def _text(public: bytes) -> str:
    return base64.b64encode(public).decode()


def _write(path: Path, data: bytes, *, mode: int) -> None:
    """Writes a file whole or not at all."""
    making = path.with_suffix(".making")
    making.unlink(missing_ok=True)
    with os.fdopen(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)
