"""Settings: flag > environment > config.env > default.

Only the two apps read them; every other part is handed what it needs.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from picture_captioner.errors import ConfigurationError, UsageError, did_you_mean
from picture_captioner.foreign_text import keep_secret, keep_secrets_of

CONFIG_FILE = Path("config.env")

MAX_TIMEOUT = 86_400.0
"""Seconds, a day: sockets take no infinite timeout, nor one of three hundred years."""


class Settings(BaseSettings):
    """Every setting, by its name in config.env (upper case) and in the environment."""

    model_config = SettingsConfigDict(
        env_file=CONFIG_FILE, env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True
    )

    photos_dir: Path | None = None
    captions_jsonl: Path = Path("captions.jsonl")
    library_db: Path | None = None
    models_dir: Path | None = None
    backend: str = ""
    model: str = ""
    prompt: str = ""
    fallback: str = ""
    base_url: str = ""
    language: str = ""
    fields: str = ""
    max_tags: int = Field(default=0, ge=0, le=50)
    max_edge: int = Field(default=0, ge=0)
    follow_links: bool = False
    local_only: bool = False
    allow_http: bool = False
    max_cost: float | None = Field(default=None, ge=0)
    max_requests: int | None = Field(default=None, ge=0)
    max_photo_cost: float | None = Field(default=None, gt=0)
    prices_file: Path | None = None
    max_workers: int = Field(default=0, ge=0, le=500)
    decode_workers: int = Field(default=0, ge=0, le=64)
    timeout: float = Field(default=0.0, ge=0, le=MAX_TIMEOUT)
    temperature: float = Field(default=0.3, ge=0, le=2)
    max_tokens: int = Field(default=0, ge=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_file: Path = Path("caption.log")

    openai_api_key: SecretStr = SecretStr("")
    anthropic_api_key: SecretStr = SecretStr("")
    gemini_api_key: SecretStr = SecretStr("")
    xai_api_key: SecretStr = SecretStr("")
    hyperbolic_api_key: SecretStr = SecretStr("")
    compatible_api_key: SecretStr = SecretStr("")
    litellm_api_key: SecretStr = SecretStr("")

    @field_validator(
        "photos_dir", "captions_jsonl", "library_db", "models_dir", "log_file", "prices_file"
    )
    @classmethod
    def _expand_home(cls, path: Path | None) -> Path | None:
        """`~/Pictures` in config.env meets no shell that would expand it."""
        if path is None:
            return None
        if "\0" in str(path):
            raise ValueError("a path cannot hold a NUL character")
        try:
            return path.expanduser()
        except RuntimeError:  # what a shell hands on as it is, because it knows no such user either
            raise ValueError(f"nobody has the home directory {path.parts[0]!a}") from None

    @field_validator("captions_jsonl", "library_db", "log_file", "prices_file")
    @classmethod
    def _has_a_name(cls, path: Path | None) -> Path | None:
        """What is beside the journal is named after it, which `.` and `/` do not allow."""
        if path is not None and not path.name:
            raise ValueError("name a file, not a directory")
        return path

    @property
    def library_path(self) -> Path:
        """Where library.db is: beside the journal unless it was put elsewhere."""
        return self.library_db or self.captions_jsonl.with_name("library.db")

    def base_url_of(self, backend: str) -> str | None:
        """The address that was set for this backend; one that was set for another never is.

        `OPENAI_BASE_URL` in config.env (`CAPTION_OPENAI_BASE_URL` in the environment) is openai's.
        A bare `BASE_URL` belongs to the `BACKEND` beside it, without one to `compatible`, which
        has no address of its own: a key goes to no server that was set for somebody else.
        """
        name = f"{backend.upper().replace('-', '_')}_BASE_URL"
        own = os.environ.get(f"CAPTION_{name}") or _file_values().get(name)
        if own:
            return own
        return self.base_url if self.base_url and backend == _owner_of_base_url() else None

    def api_key(self, variable: str | None) -> SecretStr:
        """The key behind a variable's name; backends of other packages bring names of their own."""
        if variable is None:
            return SecretStr("")
        known = getattr(self, variable.lower(), None)
        if isinstance(known, SecretStr):
            key = known.get_secret_value()
        else:
            key = os.environ.get(variable) or _file_values().get(variable) or ""
        keep_secret(key)
        return SecretStr(key.strip())  # keys from `docker secret` and the like end in a newline


def load_settings(**flags: Any) -> Settings:
    """Merge the flags that were given with environment, config.env and defaults.

    Raises:
        UsageError: a flag's value does not fit.
        ConfigurationError: a value from the environment or config.env does not fit.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        if CONFIG_FILE.is_dir():  # pydantic-settings would pass it over without a word
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        keep_secrets_of({**os.environ, **_file_values()})
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        told = first["msg"].removeprefix("Value error, ")
        reason = f"{told[0].lower()}{told[1:]}"
        if name in given:
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"{flag} {given[name]}: {reason}") from None
        raise ConfigurationError(f"{_origin(name)}: {reason}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{CONFIG_FILE.resolve()} is not UTF-8 text: {error}") from None
    except OSError as error:
        path = CONFIG_FILE.absolute()
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error


def _origin(name: str) -> str:
    variable = name.upper()
    if any(key.upper() == variable and value for key, value in os.environ.items()):
        return f"{variable} in the environment"
    return f"{variable} in {CONFIG_FILE.resolve()}"


def _owner_of_base_url() -> str:
    """The backend that stands where BASE_URL does; a flag names another backend, no other owner."""
    in_file = _file_values().get("BACKEND")
    by_environment = os.environ.get("BACKEND") if os.environ.get("BASE_URL") else None
    return by_environment or in_file or "compatible"


def _file_values() -> dict[str, str | None]:
    return dotenv_values(CONFIG_FILE, encoding="utf-8") if CONFIG_FILE.is_file() else {}


def unknown_settings(also_valid: Iterable[str] = ()) -> list[str]:
    """A sentence for every line of config.env that sets nothing, with the nearest valid name."""
    valid = {name.upper() for name in Settings.model_fields} | set(also_valid)
    return [_complaint(*line, valid) for line in _file_values().items() if _is_idle(*line, valid)]


def _is_idle(name: str, value: str | None, valid: Collection[str]) -> bool:
    return value is None or name.upper() not in valid


def _complaint(name: str, value: str | None, valid: Collection[str]) -> str:
    path = CONFIG_FILE.resolve()
    if value is None:  # the whole line may be a key: it is not repeated
        return f"{path}: a line without '=' does nothing"
    hint = did_you_mean(name, sorted(valid))
    return f"{path}: {name} is not a setting, so its line does nothing{hint}"
