"""The worker's share: models that learn from what staff decides."""

from datetime import timedelta

from civicpulse.base.log import get_logger
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant
from civicpulse.base.turns import Line, timer
from civicpulse.triage.models import needs_training, train
from civicpulse.triage.trainer import TrainingFailed

log = get_logger(__name__)


def training_timer(services: Services) -> Line:
    """Trains a tenant's model, hourly, once there is something new to learn."""

    async def learn(tenant: Tenant) -> None:
        await train_tenant(services, tenant)

    return timer(services.db, "training", learn, every=timedelta(hours=1), after=timedelta(minutes=7))


async def train_tenant(services: Services, tenant: Tenant) -> None:
    """Trains the model of a tenant whose staff has confirmed a hundred new requests or whose pack has other categories."""
    if not await needs_training(services, tenant):
        return
    try:
        await train(services, tenant, by="system")
    except TrainingFailed as error:
        log.error("training_failed", tenant=tenant.slug, error=str(error))
