"""What each provider documents of its API, one file a provider: `contracts/NAME.json`.

A file holds where it was read and when, the request as it must be sent (headers and body of a photo
for the default model), the top-level fields that the provider takes, what it says of a field that
it does not know, an answer, what it says of a model, and its errors with what they mean here. The
loopback servers speak from these files, so a change of a provider is a change of its file.
"""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "contracts"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Contract:
    """One provider's file; `fields` None: the server ignores what it does not know."""

    name: str
    sources: list[dict[str, str]]
    key: str
    model: str
    request: dict[str, Any]
    fields: list[str] | None
    unknown_field: dict[str, Any] | None
    model_info: dict[str, Any]
    answer: dict[str, Any]
    errors: dict[str, dict[str, Any]]

    def answered(self) -> dict[str, Any]:
        """A copy of the documented answer, to be changed."""
        return copy.deepcopy(self.answer)

    def model_named(self, name: str) -> dict[str, Any]:
        """What the provider says of a model."""
        return filled(self.model_info, model=name)

    def complaint(self, body: dict[str, Any]) -> tuple[int, Any] | None:
        """Status and body for the first field that the provider does not know, else None."""
        if self.fields is None or self.unknown_field is None:
            return None
        unknown = next((name for name in body if name not in self.fields), None)
        if unknown is None:
            return None
        return self.unknown_field["status"], filled(self.unknown_field["body"], field=unknown)


@functools.cache
def contract(name: str) -> Contract:
    """The file of one provider."""
    return Contract(**json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def filled(template: Any, **values: str) -> Any:
    """The template with `{name}` replaced in all its texts."""
    if isinstance(template, dict):
        return {key: filled(value, **values) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, **values) for value in template]
    if isinstance(template, str):
        for name, value in values.items():
            template = template.replace(f"{{{name}}}", value)
    return template
