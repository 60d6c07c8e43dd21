"""What a caption backend is: a class with a few attributes and one method to write.

A backend turns a clean image into a caption. It never sees a path, a file name or metadata, so it
cannot leak them. docs/adding_a_backend.md walks through writing one.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from picture_captioner.backends.encoding import DEFAULT_JPEG_QUALITY, SMALLEST_JPEG_QUALITY
from picture_captioner.backends.fields import CAPTION_ONLY, DEFAULT_MAX_TAGS, FieldsAsked
from picture_captioner.backends.rate_limits import OnRateLimit
from picture_captioner.backends.usage import believable
from picture_captioner.backends.vocabulary import EnumLimit, Mode, Vocabulary
from picture_captioner.errors import ConfigurationError, PhotoError, Usage

if TYPE_CHECKING:
    from PIL.Image import Image

DEFAULT_PROMPT = (
    "Describe this photo in one or two plain sentences: the main subject, the setting and what is "
    "happening. Begin with the subject itself; no opening phrase such as 'This image shows'."
)
"""Asks for what people search for later, and for no boilerplate that every caption would share."""

TOLD = {
    "people": "People in it",
    "place": "Place",
    "date": "Date",
    "folder": "Folder that it lies in",
    "album": "Albums that it is in",
    "keywords": "Keywords that somebody gave it",
}
"""What may be told to a model of a photo (`--context`), and how it is put."""

REJECTED = "rejected"
"""The kind of a hint that says why an earlier caption was rejected."""


class Told(str):
    """A hint that is a fact of a kind (`TOLD`, `REJECTED`) and not a tag; to a backend a text."""

    __slots__ = ("kind",)
    kind: str

    def __new__(cls, kind: str, value: str) -> Told:
        """Make one of a kind."""
        made = super().__new__(cls, value)
        made.kind = kind
        return made


class BackendOptions(BaseModel):
    """Base of a backend's own options (`--option NAME=VALUE`); unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class JpegOptions(BackendOptions):
    """Base of the options of backends that send photos as JPEGs, at a quality that one may set."""

    jpeg_quality: int = Field(default=DEFAULT_JPEG_QUALITY, ge=SMALLEST_JPEG_QUALITY, le=95)


MAX_BODY_BYTES = 16 * 1024 * 1024
"""Of an answer; the longest lists of models are under 2 MB."""


def _unheard(text: str) -> None:
    """A notice to nobody."""


def _unwatched() -> None:
    """Nobody asks where the work is."""


@dataclass(frozen=True)
class BackendSettings:
    """What a backend is told. `model` is never empty: the registry fills in the default.

    `notice` takes a line for the person; a backend never prints. `models_dir` is a folder that is
    looked into for model files. `vocabulary` are the lines of `backends.vocabulary`.
    """

    model: str
    api_key: SecretStr = field(default_factory=lambda: SecretStr(""))
    base_url: str | None = None
    allow_http: bool = False
    local_only: bool = False
    prompt: str = DEFAULT_PROMPT
    language: str | None = None
    fields: tuple[str, ...] = CAPTION_ONLY
    max_tags: int = DEFAULT_MAX_TAGS
    vocabulary: tuple[str, ...] = ()
    vocabulary_mode: Mode = "strict"
    max_tokens: int = 256
    temperature: float = 0.3
    timeout: float | None = None
    models_dir: Path | None = None
    options: BackendOptions = field(default_factory=BackendOptions)
    notice: Callable[[str], None] = _unheard

    @property
    def asked(self) -> FieldsAsked | None:
        """The structured fields to answer with; None for a caption in plain text."""
        if self.fields == CAPTION_ONLY:
            return None
        lines = self.vocabulary if "tags" in self.fields else ()
        vocabulary = Vocabulary.of(lines, self.vocabulary_mode) if lines else None
        return FieldsAsked(self.fields, self.max_tags, vocabulary)

    def prompt_sha256(self, hints: Sequence[str] = ()) -> str:
        """12 hex digits that change when the question put to the model changes."""
        question: dict[str, Any] = {
            "prompt": self.prompt,
            "language": self.language,
            "fields": list(self.fields),
        }
        if self.asked:  # a plain caption keeps the hash it had before there were fields
            question["limits"] = self.asked.limits
        if tags := [str(hint) for hint in hints if not isinstance(hint, Told)]:
            question["hints"] = tags
        if told := [[hint.kind, str(hint)] for hint in hints if isinstance(hint, Told)]:
            question["context"] = told
        canonical = json.dumps(question, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:12]


@dataclass(frozen=True)
class Fault:
    """Why the last answer for a photo could not be used, told when it is asked about again.

    `code` and `message` are those of the verdict; the token limit may be multiplied by
    `more_tokens`, which is above 1 after an answer that was cut off.
    """

    code: str
    message: str
    more_tokens: int = 1


@dataclass(frozen=True)
class Caption:
    """A backend's answer. Token counts and cost are as the provider reported them, else None.

    Where fields are asked for (`settings.asked`), `text` may be the model's answer as it came, JSON
    and all, with `fields` empty; or `text` is the caption and `fields` hold the others.
    """

    text: str | None
    fields: dict[str, Any] = field(default_factory=dict)
    model_version: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    requests: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    service_tier: str | None = None
    unpriced_requests: int | None = None

    @property
    def usage(self) -> Usage:
        """What the backend reported, without what it left out or cannot be."""
        return believable(vars(self))


@dataclass(frozen=True)
class ExpectedTokens:
    """What one photo is expected to take: the picture, the question with its frame, the answer."""

    image: int
    text: int
    output: int

    @property
    def input(self) -> int:
        """Tokens that are sent."""
        return self.image + self.text


class CaptionBackend(ABC):
    """A source of captions.

    A subclass writes `caption`, or `caption_batch` too when it is faster with several photos at
    once. Backends with a `batch_limit` above 1 (as a rule their `batch_size`) are called from
    `batch_threads` threads; the others from `workers` threads at the same time, so `caption` must
    be thread-safe.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    extra: ClassVar[str | None] = None
    key_env_var: ClassVar[str | None] = None
    key_form: ClassVar[str] = "the key your provider shows you"
    placeholder: ClassVar[bool] = False
    writes_fields: ClassVar[bool] = False
    enum_limit: ClassVar[EnumLimit | None] = None
    """What its structured output takes of a vocabulary's terms; more are listed in words alone."""

    default_model: ClassVar[str]
    default_base_url: ClassVar[str] = ""
    default_workers: ClassVar[int] = 1
    max_workers: ClassVar[int] = 500
    batch_size: ClassVar[int] = 1
    batch_threads: ClassVar[int] = 1
    preferred_edge: ClassVar[int] = 1024
    largest_edge: ClassVar[int] = 4096
    price_provider: ClassVar[str | None] = None
    free: bool = False
    timeout: ClassVar[float] = 60.0
    own_process: ClassVar[bool] = False
    """Whether it is run in a child process, which may crash, hang or lose its device: for what
    holds a model in memory. It is made there anew, without a key and without the network."""

    Options: ClassVar[type[BackendOptions]] = BackendOptions

    longest_answer: int = MAX_BODY_BYTES
    """Bytes of an answer's body; a longer one is an error."""

    on_rate_limit: OnRateLimit | None = None
    """Set by the run; a backend whose answers name the provider's quotas may tell them."""

    on_device: Callable[[], None] = staticmethod(_unwatched)
    """Set in a child process; to be called when what was prepared begins on the device, so that
    a death is first laid to the photos that were there."""

    check_asks: ClassVar[bool] = True
    """Whether `check` asks the service itself; some have no question that is free."""

    learned: tuple[str, ...] = ()
    """What `check` found out, in words that `backends --check` prints; empty where nobody was
    asked, or was too busy to say."""

    before: Mapping[str, Any] = MappingProxyType({})
    """What `facts` said in the first process of this run, if this is a later one: its predecessor's
    memory may not be free yet."""

    def __init__(self, settings: BackendSettings) -> None:
        self.settings = settings

    @property
    def batch_now(self) -> int:
        """How many photos to hand over next; asked before each batch, so it may change."""
        return self.batch_size

    @property
    def batch_limit(self) -> int:
        """The most that `batch_now` may become during a run."""
        return self.batch_size

    def batch_kind(self, size: tuple[int, int]) -> Hashable:
        """What photos of a batch should have in common, by width and height; None: nothing."""
        return None

    @property
    def edge(self) -> int:
        """The longer side of the images that suit it, in pixels, with its options in mind."""
        return self.preferred_edge

    @property
    def service_tier(self) -> str | None:
        """The provider's tier that is asked for, as price lists name it; None for the usual one."""
        return None

    @property
    def priced_model(self) -> str:
        """The name under which a price list knows the model."""
        return self.settings.model

    @property
    def answer_room(self) -> int:
        """Tokens beyond `max_tokens` that an answer may take, for thinking; may grow in a run."""
        return 0

    @property
    def destination(self) -> str | None:
        """The host that receives the photos; None when they stay on this machine."""
        return None

    def status(self) -> str:
        """A few words for the progress bar, such as how much memory is taken; empty for none.

        Asked for each photo, from any thread.
        """
        return ""

    @property
    def ready_jpeg(self) -> int | None:
        """Quality of the JPEG that the decoders should make of each photo; None for pixels alone.

        For backends that send `encode_jpeg(image, quality=...)` and look at no pixels themselves.
        """
        options = self.settings.options
        return options.jpeg_quality if isinstance(options, JpegOptions) else None

    def facts(self) -> Mapping[str, Any]:
        """What a later process for the same model should know; numbers and words only."""
        return {}

    def find_files(self) -> None:  # noqa: B027 - most backends need no files
        """Look for what `check` needs. Called by the parent of an `own_process`, which has a net.

        Raises:
            FatalError: it is not on this machine.
        """

    def check(self) -> None:
        """Verify, before the first photo, that captions can be had: key, server, model.

        Raises:
            FatalError: with what to do about it. The default only asks for the key.
        """
        if self.key_env_var and not self.settings.api_key.get_secret_value():
            raise ConfigurationError(
                f"the {self.name} backend needs a key: add the line "
                f"{self.key_env_var}=<{self.key_form}> to config.env, "
                f"or set the environment variable {self.key_env_var}"
            )

    def account(self) -> str:
        """What the provider says of the account for free, such as its balance; empty for nothing.

        Asked by `backends --check` alone, after `check`.
        """
        return ""

    def close(self) -> None:  # noqa: B027 - most backends hold nothing
        """Let go of connections and memory; called once, when nothing is under way any more."""

    def stop(self) -> None:  # noqa: B027 - most backends are asked and answer
        """The run is being stopped: begin nothing long of your own. From any thread."""

    def abandon(self) -> None:  # noqa: B027 - nor do they leave anything behind
        """This process is about to end without waiting for what is under way."""

    def expected_tokens(self, width: int, height: int) -> ExpectedTokens | None:
        """What a photo sent at this size (pixels) should take; None if no published rule says.

        Asked before anything is sent, without a key, and again when the bill comes: a photo that
        bills five times as much stops the run.
        """
        return None

    @abstractmethod
    def caption(
        self, image: Image, hints: Sequence[str], fault: Fault | None = None
    ) -> Caption | str:
        """Caption one photo.

        Args:
            image: RGB, upright, no metadata, at most `preferred_edge` pixels on its longer side;
                `image.info["full_size"]` is the photo's width and height before it was shrunk.
            hints: what may be said about the photo in the prompt; empty unless the user asked.
            fault: why the last answer for this photo was no use. A backend that can name it to its
                model, or allow a longer answer, does so (`prompt.question` takes the fault); one
                that cannot may leave this argument out, and is asked the same again.

        Raises:
            PhotoError: a verdict on this photo (`ModelError`, `ApiError`).
            TransientError: the service may be down; the caller retries.
            FatalError: no photo can be captioned (key rejected, no quota).
        """

    def caption_batch(
        self, images: Sequence[Image], hints: Sequence[Sequence[str]]
    ) -> list[Caption | str | PhotoError]:
        """Caption several photos; the answers are in the order of the photos.

        A photo that fails alone is returned as its `PhotoError`; errors that concern the whole
        batch are raised as in `caption`.
        """
        return [self._caption_or_error(image, h) for image, h in zip(images, hints, strict=True)]

    def _caption_or_error(self, image: Image, hints: Sequence[str]) -> Caption | str | PhotoError:
        try:
            return self.caption(image, hints)
        except PhotoError as error:
            return error


def takes_fault(backend: CaptionBackend) -> bool:
    """Whether `caption` can be told why the last answer was no use; other packages' may not."""
    try:
        inspect.signature(backend.caption).bind(None, (), None)
    except TypeError:
        return False
    return True
