"""The shape in which a notification leaves."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from civicpulse.base.answers import View


class NotificationView(View):
    """What somebody was told, and when it left; `request_id` is null where it is about no request."""

    id: UUID
    request_id: str | None
    recipient_type: Literal["citizen", "agent", "role"]
    channel: str
    title: str
    body: str
    created_at: datetime
    sent_at: datetime | None
