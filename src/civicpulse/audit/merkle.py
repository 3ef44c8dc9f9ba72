"""The arithmetic of the chain: trees and blocks. Pure; `scripts/check_proof.py` does the same on its own.

Leaves (chain.py) and inner nodes are hashed apart (a zero byte, a one byte before), so that no node can pass for a leaf. A tree of
an odd number of nodes carries the last one up.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

BLOCK: Final = b"civicpulse block 1\n"


def canonical(document: Mapping[str, Any]) -> bytes:
    """Writes a document in the one form that is hashed and signed: keys in order, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def root(leaves: Sequence[bytes]) -> bytes:
    """Computes the root of the tree over `leaves`, of which there is at least one."""
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> list[tuple[str, bytes]]:
    """Finds what leads from a leaf up to the root: the node beside it on each level, and on which side (`left`, `right`) it is."""
    level, steps = list(leaves), list[tuple[str, bytes]]()
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            steps.append(("left" if beside < index else "right", level[beside]))
        level, index = _above(level), index // 2
    return steps


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = [
        hashlib.sha256(b"\x01" + one + other).digest() for one, other in zip(level[::2], level[1::2], strict=False)
    ]
    return [*pairs, level[-1]] if len(level) % 2 else pairs


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a tenant's chain. `counts`: how many events of each type the chain has from its beginning to here."""

    tenant_id: UUID
    position: int
    previous: bytes
    root: bytes
    counts: Mapping[str, int]
    at: datetime

    def header(self) -> dict[str, Any]:
        """Writes the block as a document, which is what its hash is of."""
        return {
            "tenant": str(self.tenant_id),
            "position": self.position,
            "previous": self.previous.hex(),
            "root": self.root.hex(),
            "counts": dict(self.counts),
            "at": self.at.astimezone(UTC).isoformat(),
        }

    def hash(self) -> bytes:
        """Seals the block, and with it every one before."""
        return hashlib.sha256(BLOCK + canonical(self.header())).digest()
