"""Which faces a battery layer has, and where."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.bal.tls import TlsFiles

Unit: TypeAlias = Annotated[int, Field(ge=1, le=247)]


class _Face(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)]
    """0: any free one."""
    connections: Annotated[int, Field(ge=1, le=10_000)] = 64
    """At a time; who comes after them is turned away."""
    tls: TlsFiles | None = None
    """Lets in only who shows a certificate."""


class DialectFace(_Face):
    """All batteries, in a dialect of networked batteries. Only v3 asks who somebody is."""

    speaks: Literal["v1", "v2", "v3"]

    @model_validator(mode="after")
    def _secured(self) -> Self:
        if self.speaks == "v3" and self.tls is None:
            raise ValueError('v3 wants certificates of its clients: name the files under "tls"')
        return self


class SunSpecFace(_Face):
    """Some batteries, as SunSpec devices over Modbus TCP."""

    speaks: Literal["sunspec"]
    units: Annotated[dict[Unit, str], Field(min_length=1)]
    """Names of batteries by Modbus unit."""


FaceConfig: TypeAlias = Annotated[DialectFace | SunSpecFace, Field(discriminator="speaks")]
