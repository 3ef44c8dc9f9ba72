#!/usr/bin/env python3
"""Checks a bundle of `civicpulse audit prove` without CivicPulse: `check_proof.py bundle.json --key PUBLIC_KEY`.

Needs Python 3.11 and the package `cryptography`, nothing else; it reads one file and asks nobody. PUBLIC_KEY is the base64 that
`civicpulse audit key show` prints, had from somebody whom you trust to have the right one. Exit code 1 when something does not hold.
"""

import argparse
import base64
import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Document = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sha256(data: bytes) -> bytes:
    """Hashes."""
    return hashlib.sha256(data).digest()


def canonical(document: Document) -> bytes:
    """Writes a document in the form that is hashed and signed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def is_signed(public: str, signature: str, message: bytes) -> bool:
    """Tells whether the signature is that key's; both in base64."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(base64.b64decode(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def trusted_keys(keys: list[Document], trusted: str) -> dict[str, str]:
    """Finds the keys that the trusted one vouches for, and those that these vouch for, by id."""
    found = {sha256(base64.b64decode(trusted)).hex()[:32]: trusted}
    for _ in keys:
        for key in keys:
            for voucher in key["vouched"]:
                one = found.get(voucher["by"], "")
                words = {"format": "civicpulse-key-1", "key": one, "vouches_for": key["public"]}
                if is_signed(one, voucher["signature"], canonical(words)):
                    found[sha256(base64.b64decode(key["public"])).hex()[:32]] = key["public"]
    return found


def check_trail(bundle: Document) -> None:
    """Hashes each event anew, after the one before it."""
    previous = b""
    for seq, event in enumerate(bundle["events"], 1):
        if event["seq"] != seq:
            raise ValueError(f"event {seq} is missing")
        if datetime.fromisoformat(event["at"]) != EPOCH + timedelta(microseconds=event["at_us"]):
            raise ValueError(f"event {seq} was at another time")
        said = [
            bundle["tenant"],
            bundle["subject_id"],
            str(seq),
            *(event[of] for of in ("subject_type", "type", "actor_type")),
        ]
        said += ["\x1e" if event["actor_id"] is None else event["actor_id"], str(event["at_us"]), event["meta"]]
        previous = sha256(previous + "\x1f".join(said).encode())
        if previous.hex() != event["hash"]:
            raise ValueError(f"event {seq} ({event['type']}) is not what was hashed")


def check_events(bundle: Document) -> None:
    """Leads each event up to the root of its block."""
    roots = {block["position"]: block["root"] for block in bundle["blocks"]}
    for event in bundle["events"]:
        if event["seq"] in bundle["unproved"]:
            continue
        attests = sha256(event["attests"].encode()) if event["attests"] is not None else b""
        node = sha256(b"\x00" + bytes.fromhex(event["hash"]) + attests)
        for side, beside in event["path"]:
            pair = bytes.fromhex(beside) + node if side == "left" else node + bytes.fromhex(beside)
            node = sha256(b"\x01" + pair)
        if node.hex() != roots.get(event["block"]):
            raise ValueError(f"event {event['seq']} ({event['type']}) is not in block {event['block']}")


def check_blocks(bundle: Document, keys: dict[str, str]) -> None:
    """Leads each block to a checkpoint of this tenant that a trusted key has signed."""
    signed = {}
    for checkpoint in bundle["checkpoints"]:
        body = checkpoint["body"]
        is_ours = is_signed(keys.get(body["key"], ""), checkpoint["signature"], canonical(body))
        if not is_ours or body["tenant"] != bundle["tenant"]:
            raise ValueError(
                f"checkpoint {body['number']} is not signed for this tenant by a key that yours vouches for"
            )
        signed[body["position"]] = body["head"]
    named = {block["position"] - 1: block["previous"] for block in bundle["blocks"]}
    for block in bundle["blocks"]:
        # Signed itself, or named by the block after it, for which the same holds.
        hashed, position = sha256(b"civicpulse block 1\n" + canonical(block)).hex(), block["position"]
        if hashed not in (signed.get(position), named.get(position)) or block["tenant"] != bundle["tenant"]:
            raise ValueError(f"block {position} leads to no checkpoint")


def check_texts(bundle: Document) -> None:
    """Holds number and texts that came with the bundle against what its events vouch for; what was erased is nobody's word."""
    attested, erased = dict[str, Any](), list[str]()
    for event in bundle["events"]:
        meta = json.loads(event["meta"])
        attested |= json.loads(event["attests"] or "{}")
        if "comment_id" in meta:
            attested[f"comment {meta['comment_id']}"] = meta.get("sha256")
        if event["type"] == "text.erased":
            erased += [f"comment {one}" for one in meta.get("comments", ())]
    if attested.get("number", bundle["request"]) != bundle["request"]:
        raise ValueError(f"these are the events of {attested['number']}")
    for name, text in bundle.get("texts", {}).items():
        if text is not None and name not in erased and attested.get(name) != sha256(text.encode()).hex():
            raise ValueError(f"no event vouches for this {name}")


def main() -> int:
    """Checks the bundle and says in one line what it proves."""
    parser = argparse.ArgumentParser(description="Checks a bundle of `civicpulse audit prove`.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", required=True, help="the public key that you trust, in base64")
    arguments = parser.parse_args()
    try:
        bundle = json.loads(arguments.bundle.read_text(encoding="utf-8"))
        check_trail(bundle)
        check_events(bundle)
        check_blocks(bundle, trusted_keys(bundle["keys"], arguments.key))
        check_texts(bundle)
    except (LookupError, TypeError, ValueError) as error:
        print(f"NOT PROVED: {error}")
        return 1
    events, proved = len(bundle["events"]), len(bundle["events"]) - len(bundle["unproved"])
    when = max((one["body"]["at"] for one in bundle["checkpoints"]), default="never")
    print(f"{bundle['request']}: {proved} of {events} events are as they were signed (last on {when})")
    return 0 if proved else 1


if __name__ == "__main__":
    sys.exit(main())
