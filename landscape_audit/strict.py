"""What a person writes down, in a file of settings or of rules."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen, without unknown keys, and every number finite.

    Fields of numbers are strict types besides: `learning_rate = true` must not become 1.0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
