"""Rate limits of callers without a token (R-TEN-06)."""

import httpx
from builders import report
from tests_support import problem

from civicpulse.app import create_app
from civicpulse.base.logins import application_url
from civicpulse.settings import Settings


async def test_strangers_are_slowed_down_and_tokens_are_not(city, database_url) -> None:
    token = await city.token("dispatcher")
    limited = create_app(
        Settings(database_url=application_url(database_url), pool_size=4, anonymous_writes_per_minute=3)
    )
    async with limited.router.lifespan_context(limited):
        transport = httpx.ASGITransport(app=limited)
        headers = {"X-Tenant": city.tenant.slug}
        async with httpx.AsyncClient(transport=transport, base_url="http://city.test", headers=headers) as client:
            codes = [(await client.post("/requests", json=report(lat=40.0 + n))).status_code for n in range(3)]
            assert codes == [201] * 3
            refused = await client.post("/requests", json=report(lat=44.0))
            problem(refused, 429, "too_many_requests")
            assert refused.headers["retry-after"] == "60"
            raw = {"description": "A hole"}
            problem(await client.post("/reports", json=raw), 429, "too_many_requests")
            assert (await client.get("/requests")).status_code == 200
            looked_up = await client.post("/requests/similar", json={"category": "pothole"})
            assert looked_up.status_code == 200, "it counts as a read: a form asks while somebody types"
            known = await client.post("/requests", json=report(lat=45.0), headers={"Authorization": f"Bearer {token}"})
            assert known.status_code == 201
            sent = await client.post("/reports", json=raw, headers={"Authorization": f"Bearer {token}"})
            assert sent.status_code == 202
