"""What people write, prove and carry with them stands in no log, whatever is called and whatever fails (R-PRIV-32)."""

import pytest
from builders import create, png
from test_reports import process, raw

from civicpulse.base.outbox import drain_batch
from civicpulse.reactions import REACTIONS
from conftest import City

MAIL, PHONE, NAME, TEXT = "logmark31@example.org", "+12025550163", "Logmark Beeble", "logtext47"


async def test_no_log_holds_a_code_a_token_a_contact_or_a_text(
    city: City, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    anybody, admin = await city.client(), await city.client("admin")
    body = {"full_name": NAME, "contacts": {"email": MAIL, "phone": PHONE}}
    ada = (await anybody.post("/citizens", json=body)).json()["_id"]
    await anybody.post(f"/citizens/{ada}/verify", json={"code": "948271"})
    secret = await city.token("citizen", ada)
    citizen = await city.client(Authorization=f"Bearer {secret}")
    for headers in ({"Authorization": "Bearer logtoken5566"}, {"X-Api-Key": "logtoken5566"}):
        await anybody.get("/requests", headers=headers)
    made = await create(citizen, description=TEXT, tags=[TEXT], location={"coordinates": [1, 1], "address_hint": TEXT})
    path, token = f"/requests/{made['request_id']}", {"X-Tracking-Token": made["tracking_token"]}
    for client, method, where, sent in (
        (citizen, "POST", f"{path}/comment", {"json": {"message": TEXT}}),
        (admin, "POST", f"{path}/escalate", {"json": {"reason": TEXT}}),
        (admin, "PATCH", f"{path}/transition", {"json": {"to": "nowhere", "note": TEXT}}),
        (anybody, "POST", f"{path}/rating", {"json": {"rating": 1, "comment": TEXT}, "headers": token}),
        (
            anybody,
            "POST",
            f"{path}/evidence",
            {"files": {"file": (f"{TEXT}.png", png(), "image/png")}, "headers": token},
        ),
        (
            anybody,
            "POST",
            f"{path}/evidence",
            {"files": {"file": (f"{TEXT}.png", b"1", "image/png")}, "headers": token},
        ),
        (anybody, "POST", "/requests", {"content": f'{{"description": "{TEXT}'}),
        (anybody, "POST", "/requests", {"json": {"description": TEXT, "unknown": TEXT}}),
        (anybody, "POST", "/requests/similar", {"json": {"category": "pothole", "description": TEXT}}),
        (anybody, "POST", "/privacy/preview", {"json": {"text": TEXT}}),
        (anybody, "GET", "/requests", {"params": {"q": TEXT}}),
        (anybody, "GET", path, {"headers": token}),
    ):
        answer = await client.request(method, where, **sent)
        assert answer.status_code < 500, answer.text
    await citizen.post("/reports", json=raw(TEXT, location=TEXT))
    await process(city)
    async with city.transaction() as tx:
        while await drain_batch(tx, REACTIONS):
            pass
    await citizen.delete(f"/citizens/{ada}")
    out, err = capfd.readouterr()
    # The tests' own client tells where it calls; the product does not.
    logged = (record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    told = out + err + "\n".join(logged)
    assert "http" in told, "there is a log to look at"
    marks = (MAIL, PHONE, NAME, TEXT, "948271", "logtoken5566", secret, made["tracking_token"])
    assert [mark for mark in marks if mark in told] == []
