"""Bodies of the configuration's routes."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field

from civicpulse.base.wire import Wire, storable
from civicpulse.packs.shapes import Hours, Label

Kind = Literal["city", "building", "campus", "hotel", "facility", "company"]
Severity = Literal["critical", "high", "medium", "low", "P1", "P2", "P3", "P4"]
AnyOrCategory = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z0-9_]*)$", max_length=60)]


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


TenantName = Annotated[Label, AfterValidator(storable), AfterValidator(_not_blank)]


class ConfigIn(Wire):
    """The whole configuration. What an answer has besides is taken back and means nothing: it cannot be set here."""

    name: TenantName | None = None
    type: Kind | None = None
    config: Annotated[dict[str, Any], Field(description="A pack, as PackDocument: `config` of an answer, changed")]
    slug: Any = Field(default=None, exclude=True)
    version: Any = Field(default=None, exclude=True)
    created_at: Any = Field(default=None, exclude=True)
    created_by: Any = Field(default=None, exclude=True)
    areas: Any = Field(default=None, exclude=True)


class WeightsIn(Wire):
    """Shares of the score's parts; together 1."""

    compliance: Annotated[float, Field(ge=0, le=1)]
    speed: Annotated[float, Field(ge=0, le=1)]


class ConfigChange(Wire):
    """Sections to replace, each as a whole, here or under `config`; null puts one back to its default.

    `sla_thresholds` ("*" is any category) and `weights` are a simple form of the sections `sla` and `score`.
    """

    model_config = ConfigDict(extra="allow")

    name: TenantName | None = None
    type: Kind | None = None
    config: Annotated[dict[str, Any], Field(description="Sections of a pack, as PackDocument has them")] = {}
    sla_thresholds: dict[AnyOrCategory, dict[Severity, Hours]] = {}
    weights: WeightsIn | None = None


class RollbackIn(Wire):
    """The version whose content is to be the current one again."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1, strict=True)]
