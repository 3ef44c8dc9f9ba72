"""Who may do what: one table of roles and permissions (design.md section 6, spec 1)."""

from enum import StrEnum


class Role(StrEnum):
    """The kinds of caller. ANONYMOUS is a caller without a token."""

    ANONYMOUS = "anonymous"
    CITIZEN = "citizen"
    AGENT = "agent"
    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
    SYSTEM = "system"


class Permission(StrEnum):
    """What a route asks for, `resource:action`, in alphabetical order."""

    AGENT_READ = "agent:read"
    AGENT_WRITE = "agent:write"
    ANALYTICS_READ = "analytics:read"
    ANALYTICS_STAFF = "analytics:staff"
    ASSIGNMENT_SIMULATE = "assignment:simulate"
    CITIZEN_CONTACT = "citizen:contact"
    CITIZEN_CREATE = "citizen:create"
    CITIZEN_ERASE = "citizen:erase"
    CITIZEN_READ = "citizen:read"
    NOTIFICATION_READ = "notification:read"
    PIPELINE_RUN = "pipeline:run"
    PLACE_READ = "place:read"
    REPORT_RETRY = "report:retry"
    REQUEST_ANALYSE = "request:analyse"
    REQUEST_ASSIGN = "request:assign"
    REQUEST_COMMENT = "request:comment"
    REQUEST_COMMENT_INTERNAL = "request:comment_internal"
    REQUEST_CREATE = "request:create"
    REQUEST_ESCALATE = "request:escalate"
    REQUEST_EVENTS = "request:events"
    REQUEST_MERGE = "request:merge"
    REQUEST_MILESTONE = "request:milestone"
    REQUEST_RATE = "request:rate"
    REQUEST_READ = "request:read"
    REQUEST_READ_ALL = "request:read_all"
    REQUEST_TRANSITION = "request:transition"
    SCORE_RECALCULATE = "score:recalculate"
    TENANT_CONFIGURE = "tenant:configure"
    TENANT_READ = "tenant:read"


P = Permission
_ANYBODY = frozenset(
    {P.ANALYTICS_READ, P.CITIZEN_CREATE, P.PLACE_READ, P.REQUEST_CREATE, P.REQUEST_RATE, P.REQUEST_READ}
)
_CITIZEN = _ANYBODY | {P.CITIZEN_READ, P.NOTIFICATION_READ, P.REQUEST_COMMENT}
_AGENT = _CITIZEN | {
    P.AGENT_READ,
    P.REQUEST_COMMENT_INTERNAL,
    P.REQUEST_ESCALATE,
    P.REQUEST_EVENTS,
    P.REQUEST_MILESTONE,
    P.REQUEST_READ_ALL,
    P.REQUEST_TRANSITION,
    P.TENANT_READ,
}
_DISPATCHER = _AGENT | {
    P.ANALYTICS_STAFF,
    P.ASSIGNMENT_SIMULATE,
    P.CITIZEN_CONTACT,
    P.PIPELINE_RUN,
    P.REPORT_RETRY,
    P.REQUEST_ANALYSE,
    P.REQUEST_ASSIGN,
    P.REQUEST_MERGE,
}
_SUPERVISOR = _DISPATCHER | {P.AGENT_WRITE, P.CITIZEN_ERASE}
_ADMIN = _SUPERVISOR | {P.SCORE_RECALCULATE, P.TENANT_CONFIGURE}

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.ANONYMOUS: _ANYBODY,
    Role.CITIZEN: _CITIZEN,
    Role.AGENT: _AGENT,
    Role.DISPATCHER: _DISPATCHER,
    Role.SUPERVISOR: _SUPERVISOR,
    Role.ADMIN: _ADMIN,
    Role.SYSTEM: frozenset(Permission),
}

# The audit trail knows four kinds of actor (spec 1, D).
ACTOR_TYPES: dict[Role, str] = {
    Role.ANONYMOUS: "citizen",
    Role.CITIZEN: "citizen",
    Role.AGENT: "agent",
    Role.DISPATCHER: "dispatcher",
    Role.SUPERVISOR: "dispatcher",
    Role.ADMIN: "dispatcher",
    Role.SYSTEM: "system",
}


def may(role: Role, permission: Permission) -> bool:
    """Whether `role` holds `permission`."""
    return permission in GRANTS[role]


def roles_with(permission: Permission) -> tuple[str, ...]:
    """The roles that hold `permission`, for messages that say who may."""
    return tuple(role.value for role, held in GRANTS.items() if permission in held and role is not Role.SYSTEM)
