"""What follows an event, by its name. The worker runs them after the commit, at least once, so each is idempotent."""

from civicpulse.base.outbox import Reactions
from civicpulse.duplicates.reactions import ask_about_proposals
from civicpulse.insight.reactions import follow_time_zone
from civicpulse.notify.reactions import forget_citizen, tell_people
from civicpulse.settings import Settings

REACTIONS: Reactions = {
    "request.opened": (tell_people,),
    "request.transitioned": (tell_people,),
    "request.assigned": (tell_people,),
    "request.merged": (tell_people,),
    "request.unmerged": (tell_people,),
    "request.escalated": (tell_people,),
    "comment.added": (tell_people,),
    "citizen.erased": (forget_citizen,),
    "tenant.configured": (follow_time_zone,),
}


def reactions_for(settings: Settings) -> Reactions:
    """Gives the table; with a language model, also the reaction that asks it about proposed duplicates. Without one nothing waits for it."""
    if not (settings.llm_url or settings.llm_key):
        return REACTIONS
    return {**REACTIONS, "request.opened": (*REACTIONS["request.opened"], ask_about_proposals)}
