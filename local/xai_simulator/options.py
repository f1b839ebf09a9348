"""Everything about a simulator that its user can choose."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from videoconductor.models import ModelCatalog

Witness = Literal["prompt", "late", "never", "broken"]
PRESETS = Path(__file__).resolve().parents[2] / "presets"


def _pairs(value: object) -> object:
    """`"a=1,b=2"` and `["a=1", "b=2"]` as a mapping; a mapping as it is."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    rows = value.split(",") if isinstance(value, str) else value
    if not isinstance(rows, list | tuple):
        raise ValueError("must be NAME=VALUE pairs")
    named = [str(row).partition("=") for row in rows if str(row).strip()]
    if not all(equals for _, equals, _ in named):
        raise ValueError("must be NAME=VALUE pairs")
    return {name.strip(): value.strip() for name, _, value in named}


class SimulatorOptions(BaseModel):
    """How this simulator behaves. Times are seconds before `time_scale` is applied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    key: str = Field(default="sim-key", min_length=1)
    origin: str | None = None
    presets: Path = PRESETS
    cache: Path | None = None
    journal: Path | None = None

    job_seconds: float = Field(default=1.5, ge=0)
    time_scale: float = Field(default=1.0, ge=0)
    progress_steps: int = Field(default=20, ge=1)
    report_progress: bool = True
    report_usage: bool = True
    empty_pending: bool = False

    requests_per_second: float | None = Field(default=None, gt=0)
    retry_after: int | None = Field(default=None, ge=0)
    fault_rate: float = Field(default=0.0, ge=0, le=1)
    fault_seed: int | None = None
    nocredits_status: Literal[429, 403] = 429

    witness: Witness = "prompt"
    witness_delay: float = Field(default=5.0, ge=0)
    url_with_upload: bool = True

    price_factor: Annotated[Mapping[str, float], BeforeValidator(_pairs)] = {}
    serve_as: Annotated[Mapping[str, str], BeforeValidator(_pairs)] = {}

    team_id: str = "00000000-0000-4000-8000-000000000000"
    zero_data_retention: bool = False
    full_hd: bool = True
    oversize_bytes: int = Field(default=8 * 2**30, ge=0)
    input_origins: tuple[str, ...] = ()

    def catalog(self) -> ModelCatalog:
        """The models, limits and prices of `models.json` in the presets folder."""
        return ModelCatalog.from_json((self.presets / "models.json").read_text("utf-8"))

    def scaled(self, seconds: float) -> float:
        """`seconds` as they pass on this simulator's clock."""
        return seconds * self.time_scale
