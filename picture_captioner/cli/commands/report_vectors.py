"""The vectors of the report's photos: from the library, or computed and put there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.backends.vocabulary import read_vocabulary
from picture_captioner.cli.command_flags import ReportFlags
from picture_captioner.cli.commands.models import with_models
from picture_captioner.cli.terminal import count, say
from picture_captioner.errors import ModelMissingError, Status, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from picture_captioner.embedders.base import Embedder, EmbedderSettings
    from picture_captioner.library import Library
    from picture_captioner.report.labels import Vocabulary
    from picture_captioner.report.model import ReportPhoto

TEXTS_AT_A_TIME = 256

TO_GO_BY_CAPTIONS = (
    "the captions say more than that: 'caption.py models download minilm' (91 MB), and make the "
    "report again"
)


@dataclass(frozen=True)
class Chosen:
    """The embedder of this report, and why it."""

    embedder: Embedder
    reason: str
    notes: tuple[str, ...] = ()

    @property
    def by_captions(self) -> bool:
        """Whether it looks at captions, not at pictures."""
        return not self.embedder.embeds_images


def choose_embedder(
    flags: ReportFlags, present: int, photos: Sequence[ReportPhoto]
) -> Chosen | None:
    """The embedder asked for, or the best that can run; None if there is nothing to embed.

    Raises:
        FatalError: there is no such embedder, or it cannot run here.
    """
    from picture_captioner.embedders.base import EmbedderSettings
    from picture_captioner.embedders.choice import choose
    from picture_captioner.embedders.registry import AUTO, embedder_class

    settings = EmbedderSettings(
        model=flags.model or "",
        device=flags.device,
        models_dir=flags.models_dir,
        allow_download=flags.download,
        notice=say,
    )
    # A template's captions speak of light and format: they do not count, unless there is no more.
    real = sum(p.status is Status.SUCCESS and not p.placeholder for p in photos)
    captions = real if present else sum(p.status is Status.SUCCESS for p in photos)
    if not present and not captions and flags.embedder in {AUTO, "caption"}:
        return None  # a model that is not there is no reason to do without the report
    choice = choose(flags.embedder, settings, photos=present, captions=captions)
    if choice.wanted and _fetched(choice.wanted, settings, flags.models_dir):
        choice = choose(flags.embedder, settings, photos=present, captions=captions)
    notes = (TO_GO_BY_CAPTIONS,) if choice.wanted else ()
    chosen = Chosen(embedder_class(choice.name)(settings), choice.reason, notes)
    if not present and not chosen.by_captions:
        raise UsageError(
            f"--embedder {choice.name} looks at photos and there are none; "
            "give --photos-dir, or --embedder caption"
        )
    with_models(chosen.embedder.check, flags.models_dir)
    say(f"Embedder: {choice.name}, {choice.reason}")
    return chosen


def _fetched(model: str, settings: EmbedderSettings, models_dir: Path | None) -> bool:
    """Whether a person, or --download, let the model be fetched that reads captions."""
    from picture_captioner.embedders.minilm import find_caption_model

    try:
        with_models(lambda: find_caption_model(model, settings), models_dir)
    except ModelMissingError:
        return False
    return True


def load_vectors(
    library: Library, chosen: Chosen | None, photos: Sequence[ReportPhoto]
) -> NDArray[np.float32]:
    """A row for each photo, zeros where there is none; captions are embedded if need be.

    Raises:
        FatalError: the library cannot be written, or the embedder fails.
    """
    import numpy as np

    if chosen is None:
        return np.zeros((len(photos), 0), dtype=np.float32)
    if not chosen.by_captions:
        keys = [photo.content_sha256 or "" for photo in photos]
        return library.vectors(chosen.embedder.identity, keys)[1]
    texts = [_caption(photo) for photo in photos]
    _embed_captions(library, chosen.embedder, texts)
    keys = [_text_key(text) if text else "" for text in texts]
    return library.vectors(chosen.embedder.identity, keys)[1]


def _caption(photo: ReportPhoto) -> str:
    return (photo.caption or "").strip() if photo.status is Status.SUCCESS else ""


def _text_key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _embed_captions(library: Library, embedder: Embedder, texts: Sequence[str]) -> None:
    unique = sorted({text for text in texts if text})
    known, _ = library.vectors(embedder.identity, [_text_key(text) for text in unique])
    missing = [text for text, is_known in zip(unique, known, strict=True) if not is_known]
    if missing:
        say(f"Embedding {count(len(missing), 'caption')}")
    for start in range(0, len(missing), TEXTS_AT_A_TIME):
        piece = missing[start : start + TEXTS_AT_A_TIME]
        keys = [_text_key(text) for text in piece]
        library.save_vectors(embedder.identity, keys, embedder.embed_texts(piece))


def load_vocabulary(
    path: Path | None, chosen: Chosen | None, photos: Sequence[ReportPhoto]
) -> Vocabulary | None:
    """The vocabulary with its vectors; None if there is none or no photo needs it.

    Raises:
        UsageError: the file makes no sense, or the embedder's images and texts share no space.
        FatalError: the terms cannot be embedded.
    """
    if path is None or chosen is None:
        return None
    terms = read_vocabulary(path).named
    if all(photo.status is not None and (_caption(photo) or photo.last_error) for photo in photos):
        say("Every photo has a caption or an error: the vocabulary is not needed")
        return None
    embedder = chosen.embedder
    if not (embedder.embeds_images and embedder.embeds_texts):
        raise UsageError(
            f"--vocabulary needs an embedder that puts images and texts in one space, and "
            f"{embedder.name} does not; give --embedder siglip2 or clip"
        )
    from picture_captioner.report.labels import Vocabulary

    return Vocabulary(terms, embedder.embed_texts(terms))
