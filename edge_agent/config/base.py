"""What everything in a site file is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from edge_agent.config.models import Camera, SiteInfo

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""Goes into topics, URNs and file names: lower case, digits, `-` and `_`."""


class Settings(BaseModel):
    """Base of everything in a site file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
        """What a rule with these settings lacks there: (key, what is wrong and what to do)."""
        return ()
