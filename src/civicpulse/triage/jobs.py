"""The worker's share: models that learn from what staff decides."""

from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.triage.models import needs_training, train
from civicpulse.triage.trainer import TrainingFailed

log = get_logger(__name__)


async def train_models(services: Services) -> int:
    """Trains the model of each tenant whose staff has confirmed a hundred new requests or whose pack has other categories."""
    trained = 0
    for tenant in await services.tenants.all():
        if not await needs_training(services, tenant):
            continue
        try:
            trained += (await train(services, tenant, by="system")).version is not None
        except TrainingFailed as error:  # one tenant's texts must not keep the others from theirs
            log.error("training_failed", tenant=tenant.slug, error=str(error))
    return trained
