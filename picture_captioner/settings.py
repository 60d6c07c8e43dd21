"""Every setting, declared once.

A field of `DeclaredSettings` is the whole declaration. From it come the flag and
its help (`cli/flags.py`), the name in config.env (the field's, in upper case) and in the
environment, the check of the value (`config.py`), and the lines of config.env.example and
docs/settings.md (`tests/settings_page.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from picture_captioner.declaration import HOW, WHERE, WHICH, WHO, flag, switch

MAX_TIMEOUT = 86_400.0
"""Seconds, a day: sockets take no infinite timeout, nor one of three hundred years."""

KEYS = {
    "OPENAI_API_KEY": "",
    "ANTHROPIC_API_KEY": "",
    "GEMINI_API_KEY": "",
    "XAI_API_KEY": "",
    "BEDROCK_API_KEY": "Optional: AWS's own variables and profiles do as well (docs/bedrock.md).",
    "HYPERBOLIC_API_KEY": "",
    "COMPATIBLE_API_KEY": "Optional, for --backend compatible and litellm.",
    "LITELLM_API_KEY": "",
}
"""The vendors' names of keys, and what is said above one in config.env.example."""


_DECIDING = (
    "people_name people_merge people_split people_confirm people_not_this_person people_not_a_face "
    "people_hide people_same people_different people_import people_unmerge people_unname"
)
_PEOPLE = (
    f"{_DECIDING} people_scan people_cluster people_list people_show people_review people_export "
    "people_associate maintain maintain_merge_similar"
)
_TAGS = "tag tags_list tags_rename tags_merge tags_delete tags_restore"
_RUN = "run work batch_submit"
_FOLLOW = "batch_status batch_wait batch_collect batch_cancel batch_adopt"
_ALL = f"{_RUN} estimate compare report process read status doctor"


_LIBRARY = (
    f"{_RUN} sync batch_collect search report process read status forget write undo export "
    f"doctor {_PEOPLE} {_TAGS}"
)


@dataclass(frozen=True)
class ServerAddress:
    """A library on a database server: which, and which collection in it."""

    url: str = field(repr=False)
    collection: str

    def __str__(self) -> str:
        """As it is shown: without the password, wherever that may end."""
        shown = re.sub(r"(?<=://)([^:]*):.*@", r"\1@", self.url, flags=re.DOTALL)
        return shown.partition("?")[0]


@dataclass(frozen=True)
class DeclaredSettings:
    """Every setting, in the order of config.env.example."""

    photos_dir: Path | None = flag(
        "DIR",
        "Folder with the photos.",
        WHERE,
        on=f"{_ALL} {_PEOPLE} {_TAGS} {_FOLLOW} search forget write undo export accept reject",
    )
    captions_jsonl: Path = flag(
        "FILE",
        "The journal, one line per photo.",
        WHERE,
        default=Path("captions.jsonl"),
        on=f"{_RUN} sync {_FOLLOW} batch_list batch_ignore estimate stats search report process "
        "read status doctor journal_check journal_compact journal_merge journal_recheck forget "
        f"write undo export import_ accept reject {_PEOPLE} {_TAGS}",
        show_default="captions.jsonl",
    )
    library_db: Path | None = flag(
        "FILE",
        "What is known besides captions.",
        WHERE,
        on=f"{_RUN} batch_collect search report process read status forget write undo export "
        f"{_PEOPLE} {_TAGS}",
        show_default="library.db beside the journal",
        comment="What is known of the photos besides captions (docs/library.md).",
    )
    library: str = flag(
        "URL",
        "A PostgreSQL server in place of library.db: postgresql://user@host/database.",
        WHERE,
        default="",
        on=f"{_LIBRARY} library_index",
        comment="A PostgreSQL server in place of LIBRARY_DB, for several machines: "
        "postgresql://user@host/database; the password better in PGPASSFILE (docs/scale.md).",
    )
    collection: str = flag(
        "NAME",
        "Which of the libraries on that server.",
        WHERE,
        default="photos",
        on=f"{_LIBRARY} library_copy library_index",
        comment="Which of the libraries on the server LIBRARY: small letters, digits, _.",
    )
    models_dir: Path | None = flag(
        "DIR",
        "Folder with model files, looked into before the caches.",
        WHERE,
        on=f"{_RUN} compare search report process tag doctor models_list models_path "
        "models_download models_remove people_scan people_cluster people_list",
    )
    follow_links: bool = switch(
        "Also what is behind links that lead out of the photos folder.",
        WHICH,
        on=f"{_RUN} estimate compare report process read status people_scan write undo",
        comment="true: links that lead out of PHOTOS_DIR are followed, and what is behind them "
        "is sent, too.",
    )
    backend: str = flag(
        "NAME",
        "Who writes the captions, see 'backends'.",
        WHO,
        default="",
        on=f"{_RUN} estimate backends",
        show_default="template",
        comment="Who captions: see 'caption.py backends'.",
    )
    model: str = flag(
        "NAME",
        "Model name.",
        WHO,
        default="",
        on=f"{_RUN} estimate backends",
        show_default="the backend's",
    )
    prompt: str = flag(
        "TEXT",
        "What to ask about each photo.",
        WHO,
        default="",
        on=f"{_RUN} estimate compare",
        show_default="one or two sentences on subject, setting and activity",
    )
    context: str = flag(
        "KIND[,KIND]",
        "Facts told to the model: people, place, date, folder, album, keywords; 'all' where "
        "no photo leaves this machine. Never coordinates.",
        WHO,
        default="",
        on=f"{_RUN} estimate",
        show_default="nothing",
        comment="Facts about each photo that are told to the model, and leave for the host of "
        "BACKEND: people,place,date,folder,album,keywords. Never coordinates.",
    )
    fallback: str = flag(
        "BACKEND[:MODEL]",
        "Who is asked about photos that the backend cannot caption; repeatable, in that "
        "order; @URL at the end for another address.",
        WHO,
        default="",
        on=f"{_RUN} batch_collect",
        repeatable=True,
        comment="Asked in turn about photos that the first cannot caption: "
        "BACKEND:MODEL,BACKEND:MODEL@URL",
    )
    base_url: str = flag(
        "URL",
        "Address of this backend, for a proxy or a server of your own; repeatable: several "
        "share the photos. In config.env OPENAI_BASE_URL for openai, OLLAMA_BASE_URL for "
        "ollama, and so on, with commas between several.",
        WHO,
        default="",
        on=f"{_RUN} {_FOLLOW} estimate compare",
        repeatable=True,
        comment="Another address for a backend: its name, then _BASE_URL, such as "
        "OLLAMA_BASE_URL=http://nas.local:11434/v1. Its key goes there, and no other. A bare "
        "BASE_URL is that of the BACKEND above (empty: of compatible), whatever --backend "
        "says. Several with commas between them share the photos (docs/scale.md).",
    )
    language: str = flag(
        "NAME",
        "Language of the captions.",
        WHO,
        default="",
        on=f"{_RUN} estimate compare",
        show_default="the prompt's",
    )
    fields: str = flag(
        "FIELD[,FIELD]",
        "What to write down: caption, title, tags, summary, or 'full' for these and more.",
        WHO,
        default="",
        on=f"{_RUN} estimate",
        show_default="caption",
    )
    max_tags: int = flag(
        "N",
        "At most N tags a photo.",
        WHO,
        default=0,
        on=f"{_RUN} estimate",
        show_default="3 to 5",
        least=0,
        most=50,
    )
    vocabulary: Path | None = flag(
        "FILE",
        "The words that tags may be, one a line; 'Animal > Dog', 'bike = bicycle'.",
        WHO,
        on=f"{_RUN} estimate",
        comment="The words that tags may be, one a line: docs/tags.md.",
    )
    vocabulary_mode: Literal["strict", "prefer", "free"] = flag(
        "MODE",
        "strict: no other words; prefer: these first; free: other words for them replaced.",
        WHO,
        default="strict",
        on=f"{_RUN} estimate",
    )
    max_tokens: int = flag(
        "N",
        "Longest answer, in tokens.",
        WHO,
        default=0,
        on=_RUN,
        show_default="256, and more for more fields",
        least=0,
        comment="Most tokens of an answer. One that is cut off may take twice as many when it "
        "is asked for again, and four times as many the time after.",
    )
    temperature: float = flag(
        "",
        "How freely a model that takes it words its answers; for local: --option temperature.",
        WHO,
        default=0.3,
        on="",
        least=0,
        most=2,
    )
    local_only: bool = switch(
        "Refuse any address that is not this machine.",
        WHO,
        on=f"{_RUN} {_FOLLOW} estimate compare backends",
    )
    allow_http: bool = switch(
        "Allow plain http to another machine; anybody between can see it.",
        WHO,
        on=f"{_RUN} {_FOLLOW} estimate compare backends",
    )
    timeout: float = flag(
        "SECONDS",
        "Wait so many seconds for an answer.",
        HOW,
        default=0.0,
        on=f"{_RUN} compare backends",
        show_default="the backend's",
        least=0,
        most=MAX_TIMEOUT,
    )
    patience: float = flag(
        "SECONDS",
        "Wait so many seconds for a service that fails; 30 at most if nothing listens there.",
        HOW,
        default=300.0,
        on=f"{_RUN} process",
        above=0,
        most=MAX_TIMEOUT,
    )
    max_edge: int = flag(
        "PIXELS",
        "Longer side, in pixels, of what the backend sees.",
        HOW,
        default=0,
        on=f"{_RUN} estimate compare",
        show_default="what suits the backend and its price",
        least=0,
    )
    max_workers: int = flag(
        "N",
        "Requests at a time.",
        HOW,
        default=0,
        on=f"{_RUN} estimate",
        name="--max-workers --parallel",
        show_default="the backend's",
        least=0,
        most=500,
    )
    decode_workers: int = flag(
        "N",
        "Processes that decode photos.",
        HOW,
        default=0,
        on=f"{_RUN} process write people_scan batch_collect",
        show_default="one per core",
        least=0,
        most=64,
    )
    keep_clean: float = flag(
        "GB",
        "Keep up to so many GB of small clean images: the next pass decodes these.",
        HOW,
        default=0.0,
        on="run process report people_scan",
        show_default="none",
        least=0,
        most=1_000_000,
        comment="GB of small clean images, for the next model or stage (docs/library.md).",
    )
    face_score: float = flag(
        "SCORE",
        "How sure the detector must be of a face.",
        HOW,
        default=0.6,
        on="process people_scan",
        least=0.1,
        most=0.99,
    )
    attributes: str = flag(
        "age,gender",
        "What to guess of each face besides whose it is.",
        HOW,
        default="",
        on="process people_scan",
        show_default="nothing",
        comment="What to guess of each face besides whose it is: age,gender. Nothing unless "
        "asked for; docs/people.md says how far it can be trusted.",
    )
    bodies: Path | None = flag(
        "FILE",
        "Find bodies too, with this D-FINE (.onnx).",
        HOW,
        on="process people_scan",
        comment="The .onnx file of D-FINE, to find also people who show no face (docs/people.md "
        "says where to get it).",
    )
    max_cost: float | None = flag(
        "USD",
        "Stop when this journal has cost so many US dollars, all runs together.",
        HOW,
        on=f"{_RUN} batch_collect",
        least=0,
    )
    max_requests: int | None = flag(
        "N",
        "Stop when this journal has taken so many requests.",
        HOW,
        on=f"{_RUN} batch_collect",
        least=0,
    )
    max_photo_cost: float | None = flag(
        "USD",
        "Stop at a photo that bills more, in US dollars.",
        HOW,
        on=_RUN,
        show_default="5 times its estimate",
        above=0,
    )
    prices_file: Path | None = flag(
        "FILE",
        "JSON with prices that win over the maintained ones.",
        HOW,
        on=f"{_RUN} {_FOLLOW} estimate compare",
        comment="JSON with prices that win over the maintained ones: docs/api_providers.md.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = flag(
        "", "What goes into the log: DEBUG, INFO, WARNING or ERROR.", WHERE, default="INFO", on=""
    )
    log_file: Path = flag("FILE", "The log.", WHERE, default=Path("caption.log"), on="")
