"""HTTP of this room."""

from fastapi import APIRouter

from civicpulse.base.web import TransactionRoute

router = APIRouter(route_class=TransactionRoute, tags=["insight"])
