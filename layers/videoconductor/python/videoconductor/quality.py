"""Quality modes, from `presets/video-presets.json`: the one place where a mode is defined."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from videoconductor.errors import InvalidRequest

# A mode's name becomes part of S3 keys and of the manifest's `id::qualityMode`.
ModeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]


class _Row(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", populate_by_name=True)


class QualityMode(_Row):
    """A named choice of model and resolution."""

    model: str
    resolution: str
    requires_image: bool = Field(alias="requiresImage")
    with_image: str | None = Field(default=None, alias="withImage")
    aliases: tuple[str, ...] = ()
    about: str


class PresetDefaults(_Row):
    """What a request gets when it does not say."""

    quality_mode: str = Field(alias="qualityMode")
    image_model: str = Field(alias="imageModel")


class RemasterRule(_Row):
    """Which mode a remaster is made in, by what it starts from."""

    resolution: str
    from_text: str = Field(alias="fromText")
    from_image: str = Field(alias="fromImage")
    from_source: str = Field(alias="fromSource")


class QualityModes(_Row):
    """Everything in `video-presets.json`."""

    schema_version: str = Field(alias="schemaVersion")
    defaults: PresetDefaults
    modes: dict[ModeName, QualityMode]
    remaster: RemasterRule

    @model_validator(mode="after")
    def _hang_together(self) -> Self:
        names = [name for known, row in self.modes.items() for name in (known, *row.aliases)]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"names given to two modes: {', '.join(sorted(twice))}")
        rule = self.remaster
        named = {self.defaults.quality_mode, rule.from_text, rule.from_image, rule.from_source}
        named |= {row.with_image for row in self.modes.values() if row.with_image is not None}
        if not named <= set(names):
            raise ValueError(f"no such modes: {', '.join(sorted(named - set(names)))}")
        return self

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the text of `video-presets.json`; a bad row raises pydantic's ValidationError."""
        return cls.model_validate_json(text)

    def find(self, name: str) -> tuple[str, QualityMode]:
        """The canonical name and row for a mode or one of its aliases.

        Raises InvalidRequest, naming the modes there are, for one nobody knows.
        """
        for known, row in self.modes.items():
            if name == known or name in row.aliases:
                return known, row
        raise InvalidRequest.of(
            "qualityMode", name, "is not a quality mode", choices=list(self.modes)
        )
