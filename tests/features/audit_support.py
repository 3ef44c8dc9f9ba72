"""What `audit verify` finds, and a tenant that has lived, for tests of the trail."""

from collections.abc import Mapping
from typing import Any

from civicpulse.audit.chain import chain_line
from civicpulse.audit.verify import Findings, Verifier
from civicpulse.base.clients.storage import Storage
from civicpulse.base.services import Services
from civicpulse.base.tenancy import Tenant


async def verified(
    services: Services, tenant: Tenant, *, keys: Mapping[str, bytes] | None = None, **how: Any
) -> Findings:
    """All that verifying the tenant finds."""
    storage = Storage(services.settings.storage_url)
    return await Verifier(
        services.db, tenant, Findings(str(tenant.tenant_id)), storage=storage, keys=keys or {}, **how
    ).run()


async def chain(services: Services, tenant: Tenant) -> int:
    """Chains everything that waits; how many events and rows it took."""
    line, taken = chain_line(services.db), 0
    while more := await line.work(tenant):
        taken += more
    return taken
