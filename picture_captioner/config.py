"""Settings: flag > environment > config.env > default.

Which there are is declared in `settings.py`. Only the apps read them; every other part is handed
what it needs.

In the environment the names begin with `CAPTION_`: gettext's LANGUAGE and other programs' LOG_LEVEL
or BASE_URL stand there too, and one of them once went into every paid prompt.
"""

from __future__ import annotations

import errno
import io
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from picture_captioner.declaration import declared
from picture_captioner.errors import ConfigurationError, UsageError, did_you_mean
from picture_captioner.foreign_text import faults_of, keep_secret, keep_secrets_of, read_regular
from picture_captioner.settings import KEYS, DeclaredSettings, ServerAddress

if TYPE_CHECKING:
    from dotenv.parser import Original
    from pydantic import SecretStr

CONFIG_FILE = Path("config.env")
CONFIG_VARIABLE = "CAPTION_CONFIG"
PREFIX = "CAPTION_"
LOOP_VARIABLE = "CAPTION_LOOP"
"""Names the file into which a run writes how many records are new; set by run_loop.sh."""
LOOP_GOES_ON = "again"
"""Stands in that file before a run if an earlier one of the same loop wrote records."""
UNPREFIXED = frozenset({"PHOTOS_DIR", "CAPTIONS_JSONL"})
"""Names that nobody else uses; the others are `PREFIX` and the name in config.env."""

MISSED = ("BACKEND", "MODEL", "PROMPT")
"""Were read from the environment without a prefix; whoever still sets one is told. So is whoever
has an address of a database in LIBRARY."""


@dataclass(frozen=True)
class ConfigFile:
    """What a config.env says, and where lines are that nobody can read; without a file, nothing."""

    path: Path | None = None
    lines: Mapping[str, str | None] = field(default_factory=dict)
    unread: tuple[int, ...] = ()

    def faults(self) -> list[str]:
        """A sentence for each line that is not `NAME=value`; the line may be a key: not repeated.

        Whatever is missed later may have stood in it.
        """
        return [
            f"line {line} of {self.path} is not NAME=value and does nothing: is a quotation "
            "mark not closed?"
            for line in self.unread
        ] + [
            f"{self.path}: a line without '=' does nothing"
            for value in self.lines.values()
            if value is None
        ]

    def keys_for_others(self) -> str | None:
        """A sentence if others of this machine can read a key in it."""
        held = [n for n, value in self.lines.items() if value and n.upper().endswith("_API_KEY")]
        keys = [name for name in held if not re.fullmatch(r"\$\{\w+\}", self.lines[name] or "")]
        if self.path is None or not keys or not self.path.stat().st_mode & 0o077:
            return None
        return (
            f"{self.path} holds {', '.join(keys)} and can be read by others on this machine: "
            f"chmod 600 {shlex.quote(str(self.path))}"
        )

    def get(self, name: str) -> str:
        """A value; `${NAME}` as the whole of one is read from the environment.

        Raises:
            ConfigurationError: that variable is not set.
        """
        value = {line.upper(): value for line, value in self.lines.items()}.get(name) or ""
        reference = re.fullmatch(r"\$\{(\w+)\}", value.strip())
        if reference is None:
            return value
        if not os.environ.get(reference[1]):
            raise ConfigurationError(
                f"{name} in {self.path} is {value}, and {reference[1]} is not set in the "
                "environment: set it there, or write the value itself"
            )
        return os.environ[reference[1]]


@dataclass(frozen=True)
class Settings(DeclaredSettings):
    """The settings of this run, and the file that they were read from."""

    file: ConfigFile = field(default_factory=ConfigFile, repr=False, compare=False)

    @property
    def library_path(self) -> Path:
        """Where library.db is: beside the journal unless it was put elsewhere."""
        return self.library_db or self.captions_jsonl.with_name("library.db")

    @property
    def library_home(self) -> Path | ServerAddress:
        """Where what is known of the photos is: that file, or a collection on a server.

        Raises:
            UsageError: no such address or name, or both are named.
        """
        if not self.library:
            return self.library_path
        if self.library_db:
            raise UsageError("LIBRARY (--library) and LIBRARY_DB (--library-db): name one of them")
        return self.served_library(self.library)

    def served_library(self, url: str) -> ServerAddress:
        """The collection on that server.

        Raises:
            UsageError: no such address or name.
            ConfigurationError: an address with a fault.
        """
        _check_address(url)
        if not re.match(r"postgres(?:ql)?://", url):
            raise UsageError("a library on a server is postgresql://user@host/database")
        if not re.fullmatch(
            r"(?!pg_|public$|information_schema$)[a-z][a-z0-9_]{0,62}", self.collection
        ):
            raise UsageError(
                f"--collection {self.collection[:70]}: up to 63 small letters, digits and _, a "
                "letter first"
            )
        return ServerAddress(url, self.collection)

    @property
    def has_library(self) -> bool:
        """Whether there is one already, or a link to one; asking makes no file."""
        path = self.library_path
        return bool(self.library) or path.exists() or path.is_symlink()  # of a disk that is away

    @property
    def people_path(self) -> Path:
        """Where the decisions about people are: beside the journal."""
        return self.captions_jsonl.with_name("people.jsonl")

    @property
    def tags_path(self) -> Path:
        """Where the decisions about tags are: beside the journal."""
        return self.captions_jsonl.with_name("tags.jsonl")

    def base_url_of(self, backend: str) -> str | None:
        """The address that was set for this backend; one that was set for another never is.

        `OPENAI_BASE_URL` in config.env (`CAPTION_OPENAI_BASE_URL` in the environment) is openai's.
        A bare `BASE_URL` belongs to the `BACKEND` beside it, without one to `compatible`, which
        has no address of its own: a key goes to no server that was set for somebody else.
        """
        own = base_url_name(backend)
        in_file = self.file.get("BACKEND") or "compatible"
        owners = {
            f"{PREFIX}BASE_URL": os.environ.get(f"{PREFIX}BACKEND") or in_file,
            "BASE_URL": in_file,
        }
        if url := os.environ.get(PREFIX + own) or self.file.get(own):
            return url
        for name, owner in owners.items():
            value = os.environ.get(name) if name.startswith(PREFIX) else self.file.get(name)
            if value and owner == backend:
                return value
        return None

    def api_key(self, variable: str | None) -> SecretStr:
        """The key behind a variable's name; backends of other packages bring names of their own."""
        from pydantic import SecretStr

        key = (os.environ.get(variable) or self.file.get(variable)) if variable else ""
        keep_secret(key)
        return SecretStr(key.strip())  # keys from `docker secret` and the like end in a newline

    def idle(self, also_valid: Iterable[str] = ()) -> list[str]:
        """A sentence for each name that is set and does nothing, with the nearest valid one."""
        valid = {*(name.upper() for name in declared(Settings)), *KEYS, *also_valid}
        sentences = [
            f"{self.file.path}: {name} is not a setting, so its line does nothing"
            f"{did_you_mean(name, sorted(valid))}"
            for name, value in self.file.lines.items()
            if value is not None and name.upper() not in valid
        ]
        read = {*map(variable_of, valid), CONFIG_VARIABLE, LOOP_VARIABLE}
        for name in sorted(os.environ):
            if name.startswith(PREFIX) and name not in read:
                hint = did_you_mean(name, read, shared=PREFIX)
                sentences.append(f"{name} in the environment is not a setting{hint}")
        missed = [name for name in MISSED if os.environ.get(name)]
        if os.environ.get("LIBRARY", "").startswith("postgres"):
            missed.append("LIBRARY")
        if missed:
            sentences.append(
                f"{' and '.join(missed)} in the environment: not read, because other "
                f"programs set such names; say {PREFIX}{missed[0]}, or write it into config.env"
            )
        return sentences


def base_url_name(backend: str) -> str:
    """The name in config.env of a backend's address."""
    return f"{backend.upper().replace('-', '_')}_BASE_URL"


def variable_of(setting: str) -> str:
    """The name of a setting, or of a key, in the environment."""
    name = setting.upper()
    return name if name in UNPREFIXED or name.endswith("_API_KEY") else PREFIX + name


def read_config(named: Path | None) -> ConfigFile:
    """The file of `--config`, else of CAPTION_CONFIG, else ./config.env if it is there.

    Nothing in it is interpolated, so that a key may hold a dollar sign (`ConfigFile.get`).

    Raises:
        UsageError, ConfigurationError: the one that was named is not there, or cannot be read.
    """
    from dotenv.parser import parse_stream

    by_environment = os.environ.get(CONFIG_VARIABLE)
    path = named or (Path(by_environment) if by_environment else CONFIG_FILE)
    try:
        text = read_regular(path.expanduser()).decode("utf-8-sig")
        found = list(parse_stream(io.StringIO(text, newline=None)))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path.absolute()} is not UTF-8 text: {error}") from None
    except OSError as error:
        if error.errno == errno.ENOENT and not named and not by_environment:
            return ConfigFile()
        told = f"cannot read {path.absolute()}: {error.strerror}"
        raise (UsageError(f"--config: {told}") if named else ConfigurationError(told)) from error
    except RuntimeError:  # no such user in ~user
        raise UsageError(f"--config {path}: nobody has that home directory") from None
    lines = {one.key: one.value for one in found if one.key is not None}
    unread = tuple(_first_line(one.original) for one in found if one.error)
    return ConfigFile(path.absolute(), lines, unread)


def _first_line(statement: Original) -> int:
    """The line in which a statement begins, after the blank ones that count as its own."""
    text = statement.string
    return statement.line + text[: len(text) - len(text.lstrip())].count("\n")


def load_settings(config: Path | None = None, **flags: Any) -> Settings:
    """Merge the flags that were given with environment, config.env and defaults.

    Raises:
        UsageError: a flag's value does not fit.
        ConfigurationError: a value from the environment or config.env does not fit, or the address
            of the library has a fault.
    """
    file = read_config(config)
    keep_secrets_of({**os.environ, **file.lines})
    values: dict[str, Any] = {}
    for name in declared(Settings):
        value = flags.get(name)
        if value is None:
            value = os.environ.get(variable_of(name)) or file.get(name.upper()) or None
        if value is not None:
            values[name] = value
    checked = Settings(**_checked(values, flags, file), file=file)
    _check_address(checked.library)
    return checked


def _check_address(url: str) -> None:
    """Let no message or log show the password in the address of a database server.

    Where a password ends that holds an `@` or `/` cannot be known, and libpq and others would each
    take another part of it for a host or port, which everybody shows.

    Raises:
        ConfigurationError: it has a fault, of which nothing is quoted.
    """
    rest = url.strip().partition("://")[2]
    raw = rest.rpartition("@")[0].partition(":")[2]
    given = [value for name, value in parse_qsl(rest.partition("?")[2]) if "password" in name]
    for password in (raw, unquote(raw), *given):
        keep_secret(password)
    bare = r"%(?![0-9A-Fa-f]{2})"
    fault = ""
    if re.search(rf"[@/?#\[\]\s]|{bare}", raw):
        fault = (
            "the password must be percent-encoded (@ is %40, / is %2F, ? is %3F, % is %25), or "
            "stand in PGPASSWORD or in the file that PGPASSFILE names"
        )
    elif re.search(bare, rest):
        fault = "a % in it must be written %25"
    elif not all(
        re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*)(:\d*)?", host)
        for host in re.split(r"[/?]", rest.rpartition("@")[2])[0].split(",")
    ):
        fault = "after the host come a colon and the number of its port"
    if fault:
        raise ConfigurationError(f"the address of the library (--library, LIBRARY): {fault}")


def _checked(values: dict[str, Any], flags: Mapping[str, Any], file: ConfigFile) -> dict[str, Any]:
    """The values as their types; pydantic takes its time, and is asked only if there are any."""
    if not values:
        return {}
    from pydantic import ValidationError

    try:
        checked = _model(*values).model_validate(values)
    except ValidationError as error:
        where, fault = faults_of(error)[0]
        raise _misfit(where.partition(".")[0], fault, flags, file) from None
    found = {name: getattr(checked, name) for name in values}
    for name, value in found.items():
        if isinstance(value, Path):
            try:
                found[name] = _usable_path(value, declared(Settings)[name].flag.metavar)
            except ValueError as error:
                raise _misfit(name, str(error), flags, file) from None
    return found


@cache
def _model(*names: str) -> Any:
    """A model of pydantic's that checks what the declarations of these settings say."""
    from pydantic import Field, create_model

    bounded: dict[str, Any] = {}
    for name in names:
        one = declared(Settings)[name]
        bounds = Field(one.default, ge=one.flag.least, le=one.flag.most, gt=one.flag.above)
        bounded[name] = (one.kind, bounds)
    return create_model("CheckedSettings", **bounded)


def _usable_path(path: Path, metavar: str) -> Path:
    """`~/Pictures` in config.env meets no shell that would expand it."""
    if "\0" in str(path):
        raise ValueError("a path cannot hold a NUL character")
    try:
        path = path.expanduser()
    except RuntimeError:  # what a shell hands on as it is, because it knows no such user either
        raise ValueError(f"nobody has the home directory {path.parts[0]!a}") from None
    if metavar == "FILE" and not path.name:  # what is beside the journal is named after it
        raise ValueError("name a file, not a directory")
    return path


def _misfit(
    name: str, reason: str, flags: Mapping[str, Any], file: ConfigFile
) -> UsageError | ConfigurationError:
    if flags.get(name) is not None:
        return UsageError(f"--{name.replace('_', '-')} {flags[name]}: {reason}")
    if os.environ.get(variable_of(name)):
        return ConfigurationError(f"{variable_of(name)} in the environment: {reason}")
    return ConfigurationError(f"{name.upper()} in {file.path}: {reason}")
