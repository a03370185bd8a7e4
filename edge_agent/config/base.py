"""What everything in a site file is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
"""Goes into topics, URNs and file names: lower case, digits, `-` and `_`."""


class Settings(BaseModel):
    """Base of everything in a site file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
