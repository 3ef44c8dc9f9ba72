"""The offline engine in processes of its own: a text that never ends is ended at its limit, and costs nobody else anything."""

from collections.abc import Sequence
from typing import Final

from civicpulse.base.processes import Built, Processes
from civicpulse.base.tenancy import Tenant
from civicpulse.packs.model import Pack, pack_of_json
from civicpulse.rules.masking.masker import mask
from civicpulse.triage.analysis import Analysis, ReportText
from civicpulse.triage.model import load_model
from civicpulse.triage.offline import OfflineAnalyst

TEXT_SECONDS: Final = 3.0  # of CPU time, for one text; ten thousand usual ones take as long
BATCH_SECONDS: Final = 0.02  # for each further one


class OfflineApart:
    """Analyses for one tenant with its pack and its text model, elsewhere. Raises TookTooLong for the batch."""

    def __init__(self, processes: Processes, tenant: Tenant, pack: Pack, payload: bytes, *, version: int) -> None:
        self._processes, self._owner = processes, tenant.tenant_id
        document = pack.document.model_dump_json()
        key = (tenant.tenant_id, hash(document), version)
        self._built = Built(key, build_analyst, (document, payload, str(version)))

    async def analyse(self, texts: Sequence[ReportText]) -> list[Analysis]:
        """Makes one analysis per text, in order."""
        return await self._processes.run(
            analyse_now, list(texts), seconds=limit(len(texts)), built=self._built, owner=self._owner
        )

    async def mask(self, texts: Sequence[str]) -> list[str]:
        """Masks personal data in the texts; they stay in order."""
        return await self._processes.run(mask_now, list(texts), seconds=limit(len(texts)), owner=self._owner)


def limit(texts: int) -> float:
    """Computes how many seconds of CPU time that many texts may take."""
    return TEXT_SECONDS + BATCH_SECONDS * (texts - 1)


def build_analyst(document: str, payload: bytes, version: str) -> OfflineAnalyst:
    """Builds the engine, in the process that keeps it."""
    return OfflineAnalyst(pack_of_json(document), load_model(payload), version=version)


def analyse_now(analyst: OfflineAnalyst, texts: Sequence[ReportText]) -> list[Analysis]:
    """Runs the analysis, in the process that keeps the engine."""
    return analyst.analyse_now(texts)


def mask_now(texts: Sequence[str]) -> list[str]:
    """Runs the masking, in the process that keeps the engine."""
    return [mask(text).text for text in texts]
