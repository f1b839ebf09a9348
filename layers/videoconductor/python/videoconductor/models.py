"""What each provider model can do and what it costs: the typed form of `presets/models.json`."""

from datetime import date
from decimal import Decimal
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from videoconductor.errors import InvalidRequest

Task = Literal[
    "text-to-video",
    "image-to-video",
    "reference-to-video",
    "edit",
    "extend",
    "text-to-image",
    "image-edit",
]
Resolution = Literal["480p", "720p", "1080p"]


class _Row(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", populate_by_name=True)


class TaskLimits(_Row):
    """The bounds of one task on one model; seconds of the result unless the name says source."""

    min_seconds: int | None = Field(default=None, alias="minSeconds")
    max_seconds: int | None = Field(default=None, alias="maxSeconds")
    min_source_seconds: Decimal | None = Field(default=None, alias="minSourceSeconds")
    max_source_seconds: Decimal | None = Field(default=None, alias="maxSourceSeconds")
    max_references: int | None = Field(default=None, alias="maxReferences")
    resolutions: tuple[str, ...] | None = None


class Prices(_Row):
    """US dollars, each per the unit in its name; what a model makes has no price where it is not
    known.
    """

    per_second: dict[str, Decimal] = Field(default_factory=dict, alias="perSecond")
    per_image: dict[str, Decimal] = Field(default_factory=dict, alias="perImage")
    per_input_image: Decimal = Field(default=Decimal(0), alias="perInputImage")
    per_input_second: Decimal = Field(default=Decimal(0), alias="perInputSecond")


class RateLimit(_Row):
    """Requests a second that the provider takes for a model, as published somewhere.

    `burst` is how many of them may come at the same moment.
    """

    per_second: float = Field(gt=0, alias="requestsPerSecond")
    burst: int = Field(default=1, ge=1)
    as_of: str = Field(alias="asOf")
    source: str


class Model(_Row):
    """One row of `models.json`: operations, limits and prices, dated, with their source.

    `retires` is the day from which the provider no longer answers to it, where that is known.
    """

    provider: str
    produces: Literal["video", "image"]
    aliases: tuple[str, ...] = ()
    tasks: dict[Task, TaskLimits]
    resolutions: tuple[str, ...]
    aspect_ratios: tuple[str, ...] = Field(alias="aspectRatios")
    qualities: tuple[str, ...] = ()
    last_frame: bool = Field(default=False, alias="lastFrame")
    first_frame_with_references: bool = Field(default=False, alias="firstFrameWithReferences")
    prices: Prices
    rate_limit: RateLimit | None = Field(default=None, alias="rateLimit")
    notes: str | None = None
    retires: date | None = None
    as_of: str = Field(alias="asOf")
    source: str

    @model_validator(mode="after")
    def _is_priced_wholly_or_not_at_all(self) -> Self:
        priced = set(self.prices.per_second)
        if self.produces == "video" and priced and not set(self.resolutions) <= priced:
            raise ValueError("every resolution needs a price per second, or none may have one")
        return self

    @property
    def is_priced(self) -> bool:
        """Whether anybody has told us what it costs."""
        prices = self.prices
        return bool(prices.per_second if self.produces == "video" else prices.per_image)

    def resolutions_for(self, task: Task) -> tuple[str, ...]:
        """The resolutions this model offers for `task`; a task may narrow the model's own list."""
        return self.tasks[task].resolutions or self.resolutions


class Retired(_Row):
    """A model that is gone, and the one that answers in its place."""

    replaced_by: str = Field(alias="replacedBy")
    quality: str | None = None
    on: str
    source: str


class ModelCatalog(_Row):
    """Everything in `models.json`."""

    schema_version: str = Field(alias="schemaVersion")
    currency: Literal["USD"]
    models: dict[str, Model]
    retired: dict[str, Retired]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the text of `models.json`; a malformed row raises pydantic's ValidationError."""
        return cls.model_validate_json(text)

    def find(
        self, name: str, *, produces: str = "video", field: str = "model"
    ) -> tuple[str, Model, Retired | None]:
        """The canonical name and row for `name`, and what it retired from, if it did.

        Raises InvalidRequest, naming the models there are, for one nobody knows.
        """
        retired = self.retired.get(name)
        wanted = retired.replaced_by if retired else name
        for known, row in self.models.items():
            if row.produces == produces and (wanted == known or wanted in row.aliases):
                return known, row, retired
        raise InvalidRequest.of(field, name, "is not a model we know", choices=self.names(produces))

    def names(self, produces: str = "video") -> list[str]:
        """Names of the models in force that make videos (or images), in the file's order."""
        return [name for name, row in self.models.items() if row.produces == produces]
