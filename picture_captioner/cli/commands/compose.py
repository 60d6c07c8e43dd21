"""From flags and settings to the parts that a run is made of."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from picture_captioner.backends import registry
from picture_captioner.backends.base import DEFAULT_PROMPT, BackendSettings, CaptionBackend
from picture_captioner.backends.fields import CHOICES, DEFAULT_MAX_TAGS, expand
from picture_captioner.backends.hosted import make_backend_of
from picture_captioner.backends.vocabulary import MAX_TOLD, read_vocabulary
from picture_captioner.cli.flags import words_in
from picture_captioner.cli.run_flags import RunFlags
from picture_captioner.cli.terminal import say
from picture_captioner.config import LOOP_VARIABLE, Settings, base_url_name
from picture_captioner.errors import ConfigurationError, UsageError, count
from picture_captioner.pipeline.asking.hosts import SeveralHosts
from picture_captioner.pipeline.asking.prices import Prices, read_price_file

if TYPE_CHECKING:
    from picture_captioner.engines.ray_engine import RayEngine


def settings_for(flags: RunFlags) -> Settings:
    """Settings with the flags on top.

    Raises:
        UsageError, ConfigurationError: a value does not fit.
    """
    settings = flags.settings(prompt=_prompt(flags))
    if settings.file.path:
        say(f"Settings from {settings.file.path}")
    if told := settings.file.keys_for_others():
        say(told, always=True)
    return settings


def _prompt(flags: RunFlags) -> str | None:
    if flags.prompt_file is None:
        return flags.given.get("prompt")
    if "prompt" in flags.given:
        raise UsageError("--prompt and --prompt-file exclude each other; give one of them")
    try:
        prompt = flags.prompt_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"--prompt-file {flags.prompt_file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--prompt-file {flags.prompt_file}: not UTF-8 text") from error
    if not prompt:
        raise UsageError(f"--prompt-file {flags.prompt_file}: the file is empty")
    return prompt


def engine_for(
    flags: RunFlags, photos_dir: Path, notice: Callable[[str], None]
) -> RayEngine | None:
    """Where decoders and models live, if not here; nothing is started yet.

    Raises:
        UsageError, ConfigurationError: flags that exclude each other, or Ray is not installed.
    """
    if flags.engine != "ray":
        if flags.ray_address or flags.model_copies:
            raise UsageError("--ray-address and --model-copies go with --engine ray")
        return None
    if flags.batch or flags.in_process:
        flag = "--batch" if flags.batch else "--in-process"
        raise UsageError(f"--engine ray and {flag} exclude each other; leave one out")
    from picture_captioner.engines.ray_engine import RayEngine

    return RayEngine(flags.ray_address, flags.model_copies, photos_dir, notice)


def make_backend(
    flags: RunFlags, settings: Settings, notice: Callable[[str], None] = say
) -> CaptionBackend:
    """The backend that answers; in a dry run that is always `mock`.

    Points out lines of config.env that do nothing: a key may be the chosen backend's own.

    Raises:
        UsageError, ConfigurationError: unknown name, option or field, missing extra, or a backend
            that cannot give the fields asked for.
    """
    name = "mock" if flags.dry_run else settings.backend or _default_backend()
    kind = registry.backend_class(name)
    tell_idle_lines(flags, settings, kind)
    pairs = [] if flags.dry_run else list(flags.option or ())
    of_flags = {} if flags.dry_run else _option_flags(flags, kind)
    if flags.mock_error_rate is not None:
        if name != "mock":
            raise UsageError("--mock-error-rate goes with --backend mock or --dry-run")
        pairs.append(f"error_rate={flags.mock_error_rate}")
    common = common_settings(kind, settings)
    if flags.given.get("max_tags") and "tags" not in common.fields:
        raise UsageError("--max-tags goes with tags: add --fields caption,tags")
    if flags.given.get("vocabulary") and "tags" not in common.fields:
        raise UsageError("--vocabulary goes with tags: add --fields caption,tags")
    asked = replace(
        common,
        model=(not kind.placeholder and settings.model) or kind.default_model,
        base_url=flags.given.get("base_url") or common.base_url,
        options=registry.parse_options(kind, pairs, of_flags),
        notice=notice,
    )
    return _at_its_addresses(kind, asked, flags, settings)


def require_a_model(flags: RunFlags, chain: Sequence[CaptionBackend]) -> None:
    """What only a model or a server understands would be forgotten by a backend without one.

    Raises:
        UsageError: that was given.
    """
    first, kinds = chain[0], [registry.backend_class(backend.name) for backend in chain]
    for name in ("model", "base_url"):
        if first.placeholder and flags.given.get(name):
            raise UsageError(
                f"--{name.replace('_', '-')}: {first.name} asks no model; say whose it is with "
                "--backend NAME ('caption.py backends' lists them)"
            )
    unheard = not any(kind.own_process for kind in kinds)
    if unheard and (flags.in_process or flags.model_restart_every):
        raise UsageError(
            "--in-process and --model-restart-every go with a model on this machine: add "
            "--backend local"
        )


def _at_its_addresses(
    kind: type[CaptionBackend], asked: BackendSettings, flags: RunFlags, settings: Settings
) -> CaptionBackend:
    """The backend; one that drives them all where several addresses were given."""
    urls = addresses(asked.base_url)
    has_address = kind.default_base_url or kind.key_env_var
    backends = [
        make_backend_of(
            kind,
            replace(asked, base_url=url),
            in_process=flags.in_process,
            renew_every=flags.model_restart_every,
        )
        for url in (urls if has_address and len(urls) > 1 else [asked.base_url])
    ]
    if len(backends) == 1:
        return backends[0]
    workers = settings.max_workers or kind.default_workers * len(backends)
    return SeveralHosts(backends, each=math.ceil(workers / len(backends)))


def addresses(urls: str | None) -> list[str]:
    """The addresses in a setting or in repeated flags, each once, in their order."""
    return list(dict.fromkeys(url.strip() for url in (urls or "").split(",") if url.strip()))


def _default_backend() -> str:
    """Overnight it is a model, and not a placeholder; it is said why."""
    if LOOP_VARIABLE not in os.environ:
        return registry.DEFAULT_BACKEND
    say(
        "No backend is named, so the loop takes local, a model on this machine: placeholders would "
        "be no captions. Another one: './run_loop.sh NAME ...', or BACKEND=NAME in config.env",
        always=True,
    )
    return "local"


def tell_idle_lines(flags: RunFlags, settings: Settings, kind: type[CaptionBackend]) -> None:
    """Point out what is set and does nothing here: unknown names, another backend's address."""
    addresses = map(base_url_name, registry.backends())
    own_key = (kind.key_env_var,) if kind.key_env_var else ()
    for sentence in settings.idle((*addresses, *own_key)):
        say(sentence)
    has_address = (kind.default_base_url or kind.key_env_var) and "base_url" not in flags.given
    if settings.base_url and has_address and not settings.base_url_of(kind.name):
        say(
            f"BASE_URL was set for another backend and is not used for {kind.name}; for that write "
            f"{base_url_name(kind.name)}=... into config.env, or give --base-url"
        )


OPTION_FLAGS = (
    "quantization",
    "device",
    "batch_size",
    "max_pixels",
    "max_new_tokens",
    "revision",
    "service_tier",
    "extra_body",
)
"""Flags that set an option of the backend of the same name."""


def _option_flags(flags: RunFlags, kind: type[CaptionBackend]) -> dict[str, str]:
    """The options that have a flag of their own, by their names.

    Raises:
        UsageError: the backend has no such option.
    """
    all_of_them = {name: getattr(flags, name) for name in OPTION_FLAGS}
    given = {name: str(value) for name, value in all_of_them.items() if value is not None}
    for name in given:
        if name not in kind.Options.model_fields:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag}: the {kind.name} backend has no such option")
    return given


def common_settings(kind: type[CaptionBackend], settings: Settings) -> BackendSettings:
    """What holds for every backend of a run: the question, the key, the rules for addresses.

    Raises:
        UsageError: a field that there is not, or that this backend cannot give.
    """
    common = BackendSettings(
        model=kind.default_model,
        api_key=settings.api_key(kind.key_env_var),
        base_url=settings.base_url_of(kind.name),
        allow_http=settings.allow_http,
        local_only=settings.local_only,
        language=settings.language or None,
        prompt=settings.prompt or DEFAULT_PROMPT,
        fields=expand(words_in("--fields", settings.fields, CHOICES)),
        max_tags=settings.max_tags or DEFAULT_MAX_TAGS,
        vocabulary=_vocabulary(settings),
        vocabulary_mode=settings.vocabulary_mode,
        temperature=settings.temperature,
        timeout=settings.timeout or None,
        models_dir=settings.models_dir,
        options=kind.Options(),
    )
    asked = common.asked
    if asked and not kind.writes_fields:
        raise UsageError(
            f"the {kind.name} backend writes captions only; for {', '.join(asked.names[1:])} "
            f"choose one of these with --backend: {', '.join(registry.writers_of_fields())}"
        )
    needed = asked.max_tokens if asked else common.max_tokens
    return replace(common, max_tokens=settings.max_tokens or needed)


def _vocabulary(settings: Settings) -> tuple[str, ...]:
    if settings.vocabulary is None:
        return ()
    vocabulary = read_vocabulary(settings.vocabulary, settings.vocabulary_mode)
    if settings.vocabulary_mode != "free" and not vocabulary.told:
        say(
            f"{settings.vocabulary} has {len(vocabulary.terms):,} terms. The model is not told "
            f"more than {MAX_TOLD:,}: its tags are compared with them afterwards"
        )
    return vocabulary.lines


_WITH_ADDRESS = re.compile(r"(?P<rest>.*)@(?P<url>https?://.*)")


def make_chain(
    flags: RunFlags,
    settings: Settings,
    engine: RayEngine | None,
    notice: Callable[[str], None],
) -> list[CaptionBackend]:
    """The backend and its fallbacks, each with the name of its model.

    Raises:
        FatalError: one cannot be made, or has no model that could be found out.
    """
    first = make_backend(flags, settings, notice)
    backends = [first, *make_fallbacks(flags, settings, first, notice)]
    if not flags.dry_run or settings.backend in {"", "template", "mock"}:
        require_a_model(flags, backends)
    if engine is not None:
        backends = [engine.hosting(backend) for backend in backends]
    for nameless in (b for b in backends if not b.settings.model):
        say(f"Asking {nameless.destination} which model it has; no photo is sent", always=True)
        nameless.check()  # finds out the name of the only model, which records and rules go by
    return backends


def make_fallbacks(
    flags: RunFlags,
    settings: Settings,
    first: CaptionBackend,
    notice: Callable[[str], None],
) -> list[CaptionBackend]:
    """The backends of `--fallback`, in their order; none in a dry run.

    Raises:
        UsageError, ConfigurationError: unknown name, missing extra, or a placeholder among them.
    """
    words = [word.strip() for word in settings.fallback.split(",") if word.strip()]
    if flags.dry_run or not words:
        return []
    chain = [first, *(_fallback(word, flags, settings, notice) for word in words)]
    for backend in chain:
        if backend.placeholder:
            raise UsageError(
                f"--fallback: {backend.name} writes placeholders, not captions; leave it out"
            )
    return chain[1:]


def _fallback(
    word: str, flags: RunFlags, settings: Settings, notice: Callable[[str], None]
) -> CaptionBackend:
    name, model, url = parse_backend(word)
    kind = registry.backend_class(name)
    common = common_settings(kind, settings)
    asked = replace(
        common, model=model or common.model, base_url=url or common.base_url, notice=notice
    )
    return _at_its_addresses(kind, asked, flags, settings)


def parse_backend(word: str) -> tuple[str, str, str | None]:
    """Name, model and address from `NAME[:MODEL][@URL]`; a model's own name may hold colons."""
    found = _WITH_ADDRESS.fullmatch(word)
    rest, url = (found["rest"], found["url"]) if found else (word, None)
    name, _, model = rest.partition(":")
    return name, model, url


def edge_for(backends: Sequence[CaptionBackend], settings: Settings) -> int:
    """The longer side of the images, in pixels: as the first likes them, and all can take them."""
    wanted = settings.max_edge or backends[0].edge
    strictest = min(backends, key=lambda backend: backend.largest_edge)
    if wanted > strictest.largest_edge:
        say(f"{strictest.name} takes at most {strictest.largest_edge} pixels; using that")
    return min(wanted, strictest.largest_edge)


def prices_for(backend: CaptionBackend, settings: Settings) -> Prices:
    """What the backend's model costs.

    Raises:
        ConfigurationError: the price file makes no sense.
    """
    own = read_price_file(settings.prices_file) if settings.prices_file else {}
    model = backend.settings.model
    known_as = backend.priced_model
    return Prices(
        backend.price_provider,
        known_as,
        own.get(model),
        free=backend.free,
        tier=backend.service_tier,
    )


def check_ceilings(backend: CaptionBackend, settings: Settings, prices: Prices) -> None:
    """Refuse a ceiling in dollars for what has no price.

    Raises:
        ConfigurationError: with the way to give one.
    """
    ceilings = {"--max-cost": settings.max_cost, "--max-photo-cost": settings.max_photo_cost}
    given = [flag for flag, most in ceilings.items() if most is not None]
    if given and backend.destination and not prices.known:
        model = backend.settings.model
        raise ConfigurationError(
            f"{given[0]} needs a price, and that of {model} is unknown. {own_price_remedy(model)}"
        )


def own_price_remedy(model: str) -> str:
    """How to give the price of a model that nobody else knows."""
    return (
        f'Write it into a file, {{"{model}": {{"input_per_million": 0.0, "output_per_million": '
        "0.0}}, and give it with --prices-file FILE (PRICES_FILE in config.env)"
    )


def workers_for(backend: CaptionBackend, settings: Settings) -> int:
    """How many requests at a time, within what the backend allows."""
    wanted = settings.max_workers or backend.default_workers
    if wanted > 1 and backend.batch_limit > 1:
        say(
            f"{backend.name} works in batches on one device: --max-workers does nothing, "
            "--batch-size does"
        )
        return 1
    if wanted > backend.max_workers:
        say(f"{backend.name} takes at most {count(backend.max_workers, 'worker')}; using that many")
    return min(wanted, backend.max_workers)
