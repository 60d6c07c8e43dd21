"""`tag`: tags for photos, from the vectors that library.db has of them, and for faces."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.cli.command_flags import TagFlags
from picture_captioner.cli.flags import suggested
from picture_captioner.cli.terminal import duration, say
from picture_captioner.errors import ConfigurationError, ExitCode, FatalError, UsageError, count
from picture_captioner.image_loader.images import opened_thumbnail
from picture_captioner.library.store import Library
from picture_captioner.library.tags import GivenTag
from picture_captioner.pipeline.selecting.walk import Photo
from picture_captioner.tags.nouns import CATEGORY, Nouns
from picture_captioner.tags.taxonomy import ELSE_PROMPTS, Category, Taxonomy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from picture_captioner.embedders.base import Embedder

VERSION = "1"
"""Of how tags are chosen: another one gives all photos new tags."""

PHOTOS_AT_A_TIME = 4_096
TERMS_AT_A_TIME = 512
WITH_NOUNS_AT_A_TIME = 256
"""Photos whose cosines with all nouns are in memory at once: 9 MB."""

WITH_FACES_AT_A_TIME = 64
"""Photos whose faces are in memory at once."""

MOST_NOUNS = 10
SAMPLE = 4_096


def tag_photos(flags: TagFlags) -> int:
    """Give tags to the photos whose vectors, or whose taxonomy, are new."""
    settings = flags.settings()
    taxonomy, nouns = Taxonomy.read(flags.taxonomy), Nouns.read() if flags.nouns else None
    if flags.faces and not taxonomy.of("face"):
        raise UsageError('--faces: this taxonomy has no category with target = "face"')
    with Library.open(settings.library_home, say) as library:
        embedder = _embedder(library, flags.model, settings.models_dir)
        try:
            version = f"{embedder.identity}/{taxonomy.digest}/{VERSION}"
            version += f"/{flags.min_confidence:g}" if flags.min_confidence else ""
            of_faces = version
            version += f"/{nouns.digest}" if nouns else ""
            pending = library.tags.pending(embedder.identity, None if flags.force else version)
            faces = (
                library.tags.faces_pending(None if flags.force else of_faces) if flags.faces else []
            )
            if flags.faces and not library.tags.faces_pending(None):
                say("No faces are known yet: 'caption.py people scan' finds them")
            if not pending and not faces:
                say("Every photo with a vector has its tags")
                return ExitCode.DONE
            tagger = _Tagger(library, embedder, taxonomy, nouns, flags.min_confidence)
            begun, given = time.monotonic(), Counter[str]()
            for start in range(0, len(pending), PHOTOS_AT_A_TIME):
                some = pending[start : start + PHOTOS_AT_A_TIME]
                found = tagger.tags(some)
                library.tags.save(embedder.identity, version, found)
                given.update(tag.category for tags in found.values() for tag in tags)
            if faces:
                given += _tag_faces(library, tagger, settings.photos_dir, faces, of_faces)
        finally:
            embedder.close()
    if pending:
        say(f"{count(len(pending))} tagged in {duration(time.monotonic() - begun)}")
    for category, number in given.most_common():
        say(f"  {number:>7,} {category}")
    counts, finds = suggested(flags, "tags list"), suggested(flags, "search", "tag:TAG")
    say(f"Next: '{counts}' counts them, '{finds}' finds photos")
    return ExitCode.DONE


def _embedder(library: Library, model: str | None, models_dir: Path | None) -> Embedder:
    """The embedder that made vectors of pictures here with which texts can be compared."""
    from picture_captioner.embedders.base import EmbedderSettings
    from picture_captioner.embedders.registry import embedder_class

    known, why = library.identities(), ""
    for name in sorted({identity.partition(":")[0] for identity in known if ":" in identity}):
        try:
            settings = EmbedderSettings(model=model or "", models_dir=models_dir, notice=say)
            embedder = embedder_class(name)(settings)
            if not (embedder.embeds_images and embedder.embeds_texts):
                continue
            if embedder.identity in known:
                return embedder
            why = f" (the model here is {embedder.identity}, the vectors are by another)"
        except FatalError as error:
            why = f" ({name}: {error})"
    raise ConfigurationError(
        f"library.db has no vectors of pictures that texts can be compared with{why}: make them "
        "with 'caption.py models download siglip2' and 'caption.py process --stage embed' "
        "(docs/tags.md)"
    )


def _tag_faces(
    library: Library,
    tagger: _Tagger,
    photos_dir: Path | None,
    contents: Sequence[str],
    version: str,
) -> Counter[str]:
    """Give tags to the faces of these photos; how many of each category.

    A photo of which a face cannot be cut out is left for the next time.
    """
    from picture_captioner.pipeline.people.crops import make_crops

    placed, given, left = defaultdict(list), Counter[str](), 0
    for face in library.faces.placed():
        placed[face.content_sha256].append(face)
    for start in range(0, len(contents), WITH_FACES_AT_A_TIME):
        some = contents[start : start + WITH_FACES_AT_A_TIME]
        faces = [face for content in some for face in placed[content]]
        crops = make_crops(library, photos_dir, _files(library, photos_dir, some), faces)
        tagged = dict(zip(crops, tagger.of_faces(list(crops.values())), strict=True))
        found = {
            content: {face.number: tagged[content, face.number] for face in placed[content]}
            for content in some
            if all((content, face.number) in tagged for face in placed[content])
        }
        library.tags.save_of_faces(version, found)
        left += len(some) - len(found)
        given.update(
            tag.category for face in found.values() for tags in face.values() for tag in tags
        )
    say(f"{count(len(contents) - left)} with faces tagged")
    if left:
        say(f"{count(left)} with faces cannot be opened: give --photos-dir and run this again")
    return given


def _files(library: Library, photos_dir: Path | None, contents: Sequence[str]) -> dict[str, Photo]:
    """For each content a file that was walked and still has it; a journal may name any path."""
    found: dict[str, Photo] = {}
    if photos_dir is None:
        return found
    for content in contents:
        for rel_path in library.paths_of(content):
            with suppress(OSError):
                status = (photos_dir / rel_path).stat()
                photo = Photo(rel_path, status.st_size, status.st_mtime_ns)
                facts = library.facts.of_file(rel_path, photo.size, photo.mtime_ns)
                if facts is not None and facts.content_sha256 == content:
                    found[content] = photo
    return found


class _Tagger:
    """The taxonomy as vectors of one model."""

    def __init__(
        self,
        library: Library,
        embedder: Embedder,
        taxonomy: Taxonomy,
        nouns: Nouns | None,
        least: float,
    ) -> None:
        from picture_captioner.tags.zero_shot import Scale

        self._library, self._embedder, self._taxonomy = library, embedder, taxonomy
        self._least = least
        self._scale = Scale(*embedder.text_scale)
        self._else = self._vectors([ELSE_PROMPTS])[0]
        self._terms = {
            name: self._vectors([category.sentences(term) for term in category.terms])
            for name, category in taxonomy.categories.items()
        }
        self._nouns = nouns
        if nouns:
            self._noun_vectors = self._vectors([nouns.sentences(name) for name in nouns.names])
            self._floors = self._learned_floors()

    def _learned_floors(self) -> NDArray[np.float32]:
        """By a sample of the whole library, so that a new photo has the same floors."""
        from picture_captioner.tags.zero_shot import floors

        contents = self._library.tags.pending(self._embedder.identity, None)
        step = max(1, len(contents) // SAMPLE)
        _, photos = self._library.vectors(self._embedder.identity, contents[::step])
        return floors(photos, self._noun_vectors)

    def _vectors(self, terms: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """A vector for each term's sentences, shape (n, dim); computed once for each model."""
        import numpy as np

        from picture_captioner.tags.zero_shot import ensembled

        identity = f"{self._embedder.identity}#texts"
        keys = [hashlib.sha256("\n".join(term).encode()).hexdigest() for term in terms]
        known, vectors = self._library.vectors(identity, keys)
        missing = [i for i, here in enumerate(known) if not here]
        if len(missing) > TERMS_AT_A_TIME:
            say(f"Reading {count(len(missing), 'term')}: once for this model")
        for start in range(0, len(missing), TERMS_AT_A_TIME):
            some = missing[start : start + TERMS_AT_A_TIME]
            rows = self._embedder.embed_texts([said for i in some for said in terms[i]])
            ends = np.cumsum([len(terms[i]) for i in some])[:-1]
            made = np.stack([ensembled(part) for part in np.split(rows, ends)])
            self._library.save_vectors(identity, [keys[i] for i in some], made)
        if missing:
            known, vectors = self._library.vectors(identity, keys)
        return vectors

    def tags(self, contents: Sequence[str]) -> dict[str, list[GivenTag]]:
        """The tags of each photo, perhaps none."""
        _, photos = self._library.vectors(self._embedder.identity, contents)
        found: dict[str, list[GivenTag]] = {content: [] for content in contents}
        for place, tag in self._found("scene", photos):
            found[contents[place]].append(tag)
        for start in range(0, len(contents) if self._nouns else 0, WITH_NOUNS_AT_A_TIME):
            some = photos[start : start + WITH_NOUNS_AT_A_TIME]
            for place, tags in enumerate(self._of_nouns(some), start):
                found[contents[place]] += tags
        return found

    def _of_nouns(self, photos: NDArray[np.float32]) -> list[list[GivenTag]]:
        from picture_captioner.tags.zero_shot import confidences, nearest

        assert self._nouns is not None  # noqa: S101 - the one caller asked
        names, terms = self._nouns.names, self._noun_vectors
        tagged = []
        near = nearest(photos, terms, self._else, self._floors, MOST_NOUNS)
        for photo, places in zip(photos, near, strict=True):
            kept = set(self._nouns.most_special([names[place] for place in places]))
            places = [place for place in places if names[place] in kept]
            sure = confidences(photo[None], terms[places], self._else, self._scale, compete=False)[
                0
            ]
            tagged.append(
                [
                    GivenTag(CATEGORY, names[place], round(float(confidence), 4))
                    for place, confidence in zip(places, sure, strict=True)
                    if confidence >= self._least
                ]
            )
        return tagged

    def of_faces(self, crops: Sequence[bytes]) -> list[list[GivenTag]]:
        """The tags of each face, whose picture this is."""
        tagged: list[list[GivenTag]] = [[] for _ in crops]
        opened = map(opened_thumbnail, crops)
        pictures = {place: image for place, image in enumerate(opened) if image is not None}
        if pictures:
            vectors = self._embedder.embed_images([*pictures.values()])
            for place, tag in self._found("face", vectors):
                tagged[list(pictures)[place]].append(tag)
        return tagged

    def _found(self, target: str, vectors: NDArray[np.float32]) -> Iterator[tuple[int, GivenTag]]:
        for name, category in self._taxonomy.of(target).items():
            yield from self._of_category(name, category, vectors)

    def _of_category(
        self, name: str, category: Category, photos: NDArray[np.float32]
    ) -> list[tuple[int, GivenTag]]:
        from picture_captioner.tags.zero_shot import chosen, confidences

        single = category.choose == "single"
        sure = confidences(photos, self._terms[name], self._else, self._scale, compete=single)
        least = max(getattr(category.min_confidence, self._scale.kind), self._least)
        names = list(category.terms)
        return [
            (photo, GivenTag(name, names[term], round(confidence, 4)))
            for photo, term, confidence in chosen(sure, least, category.choose)
        ]
