"""Every setting, declared once.

A field of `DeclaredSettings` with its `Flag` is the whole declaration. From it come the flag and
its help (`cli/flags.py`), the name in config.env (the field's, in upper case) and in the
environment, the check of the value (`config.py`), and the lines of config.env.example and
docs/settings.md (`cli/settings_page.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from picture_captioner.declaration import HOW, WHERE, WHICH, WHO, Flag

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
    "people_hide people_same people_different people_import"
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

    photos_dir: Annotated[
        Path | None,
        Flag(
            f"{_ALL} {_PEOPLE} {_TAGS} {_FOLLOW} search forget write undo export accept reject",
            "DIR",
            "Folder with the photos.",
            WHERE,
        ),
    ] = None
    captions_jsonl: Annotated[
        Path,
        Flag(
            f"{_RUN} sync {_FOLLOW} batch_list batch_ignore estimate stats search report process "
            "read status doctor journal_check journal_compact journal_merge journal_recheck forget "
            f"write undo export import_ accept reject {_PEOPLE} {_TAGS}",
            "FILE",
            "The journal, one line per photo.",
            WHERE,
            default="captions.jsonl",
        ),
    ] = Path("captions.jsonl")
    library_db: Annotated[
        Path | None,
        Flag(
            f"{_RUN} batch_collect search report process read status forget write undo export "
            f"{_PEOPLE} {_TAGS}",
            "FILE",
            "What is known besides captions.",
            WHERE,
            default="library.db beside the journal",
            comment="What is known of the photos besides captions (docs/library.md).",
        ),
    ] = None
    library: Annotated[
        str,
        Flag(
            f"{_LIBRARY} library_index",
            "URL",
            "A PostgreSQL server in place of library.db: postgresql://user@host/database.",
            WHERE,
            comment="A PostgreSQL server in place of LIBRARY_DB, for several machines: "
            "postgresql://user@host/database; the password better in PGPASSFILE (docs/scale.md).",
        ),
    ] = ""
    collection: Annotated[
        str,
        Flag(
            f"{_LIBRARY} library_copy library_index",
            "NAME",
            "Which of the libraries on that server.",
            WHERE,
            comment="Which of the libraries on the server LIBRARY: small letters, digits, _.",
        ),
    ] = "photos"
    models_dir: Annotated[
        Path | None,
        Flag(
            f"{_RUN} compare search report process tag doctor models_list models_path "
            "models_download models_remove people_scan",
            "DIR",
            "Folder with model files, looked into before the caches.",
            WHERE,
        ),
    ] = None
    follow_links: Annotated[
        bool,
        Flag(
            f"{_RUN} estimate compare report process read status people_scan",
            "",
            "Also what is behind links that lead out of the photos folder.",
            WHICH,
            comment="true: links that lead out of PHOTOS_DIR are followed, and what is behind them "
            "is sent, too.",
        ),
    ] = False
    backend: Annotated[
        str,
        Flag(
            f"{_RUN} estimate backends",
            "NAME",
            "Who writes the captions, see 'backends'.",
            WHO,
            default="template",
            comment="Who captions: see 'caption.py backends'.",
        ),
    ] = ""
    model: Annotated[
        str, Flag(f"{_RUN} estimate backends", "NAME", "Model name.", WHO, default="the backend's")
    ] = ""
    prompt: Annotated[
        str,
        Flag(
            f"{_RUN} estimate compare",
            "TEXT",
            "What to ask about each photo.",
            WHO,
            default="one or two sentences on subject, setting and activity",
        ),
    ] = ""
    context: Annotated[
        str,
        Flag(
            _RUN,
            "KIND[,KIND]",
            "Facts told to the model: people, place, date, folder, album, keywords; 'all' where "
            "no photo leaves this machine. Never coordinates.",
            WHO,
            default="nothing",
            comment="Facts about each photo that are told to the model, and leave for the host of "
            "BACKEND: people,place,date,folder,album,keywords. Never coordinates.",
        ),
    ] = ""
    fallback: Annotated[
        str,
        Flag(
            f"{_RUN} batch_collect",
            "BACKEND[:MODEL]",
            "Who is asked about photos that the backend cannot caption; repeatable, in that "
            "order; @URL at the end for another address.",
            WHO,
            repeatable=True,
            comment="Asked in turn about photos that the first cannot caption: "
            "BACKEND:MODEL,BACKEND:MODEL@URL",
        ),
    ] = ""
    base_url: Annotated[
        str,
        Flag(
            f"{_RUN} {_FOLLOW} estimate compare",
            "URL",
            "Address of this backend, for a proxy or a server of your own; repeatable: several "
            "share the photos. In config.env OPENAI_BASE_URL for openai, OLLAMA_BASE_URL for "
            "ollama, and so on, with commas between several.",
            WHO,
            repeatable=True,
            comment="Another address for a backend: its name, then _BASE_URL, such as "
            "OLLAMA_BASE_URL=http://nas.local:11434/v1. Its key goes there, and no other. A bare "
            "BASE_URL is that of the BACKEND above (empty: of compatible), whatever --backend "
            "says. Several with commas between them share the photos (docs/scale.md).",
        ),
    ] = ""
    language: Annotated[
        str,
        Flag(
            f"{_RUN} estimate compare",
            "NAME",
            "Language of the captions.",
            WHO,
            default="the prompt's",
        ),
    ] = ""
    fields: Annotated[
        str,
        Flag(
            f"{_RUN} estimate",
            "FIELD[,FIELD]",
            "What to write down: caption, title, tags, summary, or 'full' for these and more.",
            WHO,
            default="caption",
        ),
    ] = ""
    max_tags: Annotated[
        int,
        Flag(
            f"{_RUN} estimate",
            "N",
            "At most N tags a photo.",
            WHO,
            default="3 to 5",
            least=0,
            most=50,
        ),
    ] = 0
    vocabulary: Annotated[
        Path | None,
        Flag(
            f"{_RUN} estimate",
            "FILE",
            "The words that tags may be, one a line; 'Animal > Dog', 'bike = bicycle'.",
            WHO,
            comment="The words that tags may be, one a line: docs/tags.md.",
        ),
    ] = None
    vocabulary_mode: Annotated[
        Literal["strict", "prefer", "free"],
        Flag(
            f"{_RUN} estimate",
            "MODE",
            "strict: no other words; prefer: these first; free: other words for them replaced.",
            WHO,
        ),
    ] = "strict"
    max_tokens: Annotated[
        int,
        Flag(
            _RUN,
            "N",
            "Longest answer, in tokens.",
            WHO,
            default="256, and more for more fields",
            least=0,
            comment="Most tokens of an answer. One that is cut off may take twice as many when it "
            "is asked for again, and four times as many the time after.",
        ),
    ] = 0
    temperature: Annotated[
        float, Flag("", "", "How freely the model words its answers.", WHO, least=0, most=2)
    ] = 0.3
    local_only: Annotated[
        bool,
        Flag(
            f"{_RUN} {_FOLLOW} estimate compare backends",
            "",
            "Refuse any address that is not this machine.",
            WHO,
        ),
    ] = False
    allow_http: Annotated[
        bool,
        Flag(
            f"{_RUN} {_FOLLOW} estimate compare backends",
            "",
            "Allow plain http to another machine; anybody between can see it.",
            WHO,
        ),
    ] = False
    timeout: Annotated[
        float,
        Flag(
            f"{_RUN} compare backends",
            "SECONDS",
            "Wait so long for an answer.",
            HOW,
            default="the backend's",
            least=0,
            most=MAX_TIMEOUT,
        ),
    ] = 0.0
    patience: Annotated[
        float,
        Flag(
            _RUN,
            "SECONDS",
            "Wait so long for a service that fails; 30 at most if nothing listens there.",
            HOW,
            above=0,
            most=MAX_TIMEOUT,
        ),
    ] = 300.0
    max_edge: Annotated[
        int,
        Flag(
            f"{_RUN} estimate compare",
            "PIXELS",
            "Longer side of what the backend sees.",
            HOW,
            default="what suits the backend and its price",
            least=0,
        ),
    ] = 0
    max_workers: Annotated[
        int,
        Flag(
            f"{_RUN} estimate",
            "N",
            "Requests at a time.",
            HOW,
            name="--max-workers --parallel",
            default="the backend's",
            least=0,
            most=500,
        ),
    ] = 0
    decode_workers: Annotated[
        int,
        Flag(
            f"{_RUN} process write people_scan batch_collect",
            "N",
            "Processes that decode photos.",
            HOW,
            default="one per core",
            least=0,
            most=64,
        ),
    ] = 0
    keep_clean: Annotated[
        float,
        Flag(
            "run process report people_scan",
            "GB",
            "Keep up to so many GB of small clean images: the next pass decodes these.",
            HOW,
            default="none",
            least=0,
            comment="GB of small clean images, for the next model or stage (docs/library.md).",
        ),
    ] = 0.0
    face_score: Annotated[
        float,
        Flag(
            "process people_scan",
            "SCORE",
            "How sure the detector must be of a face, 0 to 1.",
            HOW,
            default="0.6",
            least=0.1,
            most=0.99,
        ),
    ] = 0.6
    attributes: Annotated[
        str,
        Flag(
            "process people_scan",
            "age,gender",
            "What to guess of each face besides whose it is.",
            HOW,
            default="nothing",
            comment="What to guess of each face besides whose it is: age,gender. Nothing unless "
            "asked for; docs/people.md says how far it can be trusted.",
        ),
    ] = ""
    max_cost: Annotated[
        float | None,
        Flag(
            f"{_RUN} batch_collect",
            "USD",
            "Stop when this journal has cost so much, all runs together.",
            HOW,
            least=0,
        ),
    ] = None
    max_requests: Annotated[
        int | None,
        Flag(
            f"{_RUN} batch_collect",
            "N",
            "Stop when this journal has taken so many requests.",
            HOW,
            least=0,
        ),
    ] = None
    max_photo_cost: Annotated[
        float | None,
        Flag(
            _RUN,
            "USD",
            "Stop at a photo that bills more.",
            HOW,
            default="5 times its estimate",
            above=0,
        ),
    ] = None
    prices_file: Annotated[
        Path | None,
        Flag(
            f"{_RUN} {_FOLLOW} estimate compare",
            "FILE",
            "JSON with prices that win over the maintained ones.",
            HOW,
            comment="JSON with prices that win over the maintained ones: docs/api_providers.md.",
        ),
    ] = None
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Flag("", "", "What goes into the log: DEBUG, INFO, WARNING or ERROR.", WHERE),
    ] = "INFO"
    log_file: Annotated[Path, Flag("", "FILE", "The log.", WHERE)] = Path("caption.log")
