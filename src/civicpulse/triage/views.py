"""The shape in which an analysis leaves."""

from datetime import datetime

from civicpulse.requests.views.understood import CategoryScoreView, UnderstoodView


class AnalysisView(UnderstoodView):
    """What was understood of a request's text, how surely, and by which engine."""

    request_id: str
    category_scores: list[CategoryScoreView]
    created_at: datetime
    created_by: str
