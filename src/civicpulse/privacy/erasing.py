"""Erasure of a person by law: everything that they wrote or sent, and how they can be reached, in one transaction.

What cannot be taken out is the trail; it holds ids and hashes, never text. Each request whose texts went has an event `text.erased` that
says which (by that the audit tells erasure from tampering), and the person's own trail an event `person.erased` with the kinds and how
many of each. Run again, it erases what has come in since and tells only of that.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from civicpulse.accounts.callers import Caller
from civicpulse.accounts.tokens import revoke_tokens_of
from civicpulse.base import clock
from civicpulse.base.clients.storage import Storage
from civicpulse.base.db import Row, Tx
from civicpulse.base.errors import NotFound
from civicpulse.base.events import Actor
from civicpulse.base.idempotency import forget_answers
from civicpulse.duplicates.opinion_queries import forget_reasons
from civicpulse.notify.queries import forget_about, forget_texts
from civicpulse.people import queries as people
from civicpulse.people.citizens import check_may_change, record_citizen
from civicpulse.reports.queries import erase_reports
from civicpulse.requests.files import evidence_keys
from civicpulse.requests.privacy import erasing
from civicpulse.rules.access import Permission
from civicpulse.triage.queries import erase_analyses


async def erase_as(caller: Caller, storage: Storage, citizen_id: UUID) -> None:
    """Erases a citizen for a caller: the citizen or whoever holds CITIZEN_ERASE, else Forbidden; NotFound for another citizen."""
    await check_may_change(caller, citizen_id, permission=Permission.CITIZEN_ERASE)
    await erase(caller.tx, caller.actor, storage, citizen_id)


async def erase(tx: Tx, actor: Actor, storage: Storage, citizen_id: UUID) -> Mapping[str, int]:
    """Erases a person; how many of each kind went. Raises NotFound when there is no such citizen.

    Files go first: when the transaction fails after that, a file is gone that its row still names, and the next run settles it.
    """
    person = await people.lock_citizen(tx, citizen_id)
    if person is None:
        raise NotFound("There is no such citizen.")
    now, words = clock.now(), _words_of(person)
    for evidence_id in await erasing.files_of(tx, citizen_id):
        for key in evidence_keys(tx, evidence_id):
            await storage.delete(key)
    gone = await erasing.erase_texts(tx, actor, citizen_id, words=words, at=now)
    about = [row["id"] for row in await erasing.requests_of(tx, citizen_id)]
    reports = await erase_reports(tx, citizen_id)
    counts = Counter(gone.kinds)
    counts["report"] += len(reports)
    counts["analysis"] += await erase_analyses(tx, about)
    counts["opinion"] += await forget_reasons(tx, about)
    counts["notification"] += await forget_texts(tx, citizen_id) + await forget_about(tx, about)
    known_as = await people.known_as(tx, citizen_id)
    counts["kept_answer"] += await forget_answers(tx, scope="", naming=[*known_as, *about, *reports])
    if person["erased_at"] is None:
        counts["profile"] += 1
        await people.erase_citizen(tx, citizen_id, at=now)
        await revoke_tokens_of(tx, citizen_id)
    kinds = {kind: many for kind, many in sorted(counts.items()) if many}
    if kinds:
        meta: dict[str, Any] = {
            "kinds": kinds,
            "requests": [str(one) for one in gone.requests],
            "reports": [str(one) for one in reports],
        }
        await record_citizen(tx, actor, citizen_id, type="person.erased", at=now, meta=meta)
    return kinds


def _words_of(person: Row) -> tuple[str, ...]:
    """Lists the person's name and contacts, by which they may be named in what others wrote."""
    name = person["full_name"] or ""
    words = (name, *(part for part in name.split() if len(part) > 2), person["email"] or "", person["phone"] or "")
    return tuple(word for word in words if word)
