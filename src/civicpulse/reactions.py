"""What happens when…: event type → reactions. The worker runs them after the commit, at least once, so each is idempotent."""

from civicpulse.base.outbox import Reactions
from civicpulse.duplicates.reactions import ask_about_proposals
from civicpulse.notify.reactions import on_citizen_erased, on_event
from civicpulse.settings import Settings

REACTIONS: Reactions = {
    "created": (on_event,),
    "triaged": (on_event,),
    "assigned": (on_event,),
    "in_progress": (on_event,),
    "resolved": (on_event,),
    "closed": (on_event,),
    "followed": (on_event,),
    "merged": (on_event,),
    "unmerged": (on_event,),
    "sla_escalation": (on_event,),
    "citizen_erased": (on_citizen_erased,),
}


def reactions_for(settings: Settings) -> Reactions:
    """The table; with a language model, also that it is asked about proposed twins. Without one nothing waits for it."""
    if not (settings.llm_url or settings.llm_key):
        return REACTIONS
    return {**REACTIONS, "created": (*REACTIONS["created"], ask_about_proposals)}
