"""What every part of a stored file is: frozen, without NaN and infinity, and patient with what it does not know."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen part of `results.json`, or of another file that an audit stores."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
