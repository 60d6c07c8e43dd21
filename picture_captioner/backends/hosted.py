"""A caption backend in a child process: the parent's stand-in, and the host in the child.

The stand-in is a backend like any other. What a crash, a hang or a lost device costs is found out
by `workers.supervisor`; here photos and captions are packed for the way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
from pydantic import SecretStr

from picture_captioner import errors
from picture_captioner.backends.base import (
    BackendSettings,
    Caption,
    CaptionBackend,
    ExpectedTokens,
    Fault,
    Told,
    takes_fault,
)
from picture_captioner.backends.registry import backend_class
from picture_captioner.errors import (
    FatalError,
    ModelError,
    PhotoError,
    TransientError,
    Usage,
    UsageError,
)
from picture_captioner.workers.messages import Open
from picture_captioner.workers.starting import Started, start_child
from picture_captioner.workers.supervisor import RENEW_EVERY, Blamed, Supervisor

if TYPE_CHECKING:
    from PIL.Image import Image

    from picture_captioner.workers.child import Child

_TARGET = f"{__name__}:host_backend"
_PLAIN_EDGE = 256
"""Pixels of the plain picture. Small, because a photo may be guilty of its size."""

_MOST_THREADS = 64
_KEPT = (
    *("name", "summary", "extra", "key_env_var", "key_form", "placeholder", "writes_fields"),
    *("default_model", "default_workers", "max_workers", "batch_size", "batch_threads"),
    *("preferred_edge", "largest_edge", "price_provider", "free", "timeout"),
)


def make_backend_of(
    kind: type[CaptionBackend],
    settings: BackendSettings,
    *,
    in_process: bool,
    renew_every: int | None,
) -> CaptionBackend:
    """A backend: in a child process if it wants one, unless the person wants to look into it."""
    if in_process or not kind.own_process:
        return kind(settings)
    return HostedBackend(kind, settings, renew_every or RENEW_EVERY)


class HostedBackend(CaptionBackend):
    """Stands in for a backend whose model is in a child process."""

    def __init__(
        self,
        kind: type[CaptionBackend],
        settings: BackendSettings,
        renew_every: int,
        start: Callable[[], Started] = start_child,
    ) -> None:
        """`kind` is made here too, for what it knows without its model: edges, names, prompts."""
        self.made_of = (kind, settings, renew_every)
        self._inner = kind(settings)
        super().__init__(self._inner.settings)
        self.Options = kind.Options  # type: ignore[misc]  # as the class that it stands in for
        for name in _KEPT:
            setattr(self, name, getattr(kind, name))
        arguments = {"backend": kind.name, "settings": _packed_settings(settings)}
        threads = min(max(kind.batch_threads, kind.max_workers), _MOST_THREADS)
        self._supervisor = Supervisor(
            Open(_TARGET, arguments, threads), settings.notice, settings.timeout, renew_every, start
        )

    def copy(self, start: Callable[[], Started]) -> HostedBackend:
        """The same once more, with a child that `start` starts."""
        return HostedBackend(*self.made_of, start)

    @property
    def batch_now(self) -> int:
        """As the child said last."""
        return int(self._supervisor.state.get("batch_now", self._inner.batch_now))

    @property
    def batch_limit(self) -> int:
        """As the child said last."""
        return int(self._supervisor.state.get("batch_limit", self._inner.batch_limit))

    def batch_kind(self, size: tuple[int, int]) -> Hashable:
        """As the backend itself has it."""
        return self._inner.batch_kind(size)

    @property
    def edge(self) -> int:
        """As the backend itself has it."""
        return self._inner.edge

    @property
    def destination(self) -> str | None:
        """As the backend itself has it; a child process is this machine."""
        return self._inner.destination

    def status(self) -> str:
        """As the child said last."""
        return str(self._supervisor.state.get("status", ""))

    def expected_tokens(self, width: int, height: int) -> ExpectedTokens | None:
        """As the backend itself has it."""
        return self._inner.expected_tokens(width, height)

    def check(self) -> None:
        """Look for the model's files, then load it in a child."""
        self._inner.find_files()
        try:
            self._supervisor.start()
        except BaseException:  # Ctrl+C while it loads
            self._supervisor.kill()
            raise

    def stop(self) -> None:
        """Start no child any more."""
        self._supervisor.stop()

    def abandon(self) -> None:
        """Kill the child."""
        self._supervisor.kill()

    def close(self) -> None:
        """End the child properly."""
        self._supervisor.close()

    def caption(
        self, image: Image, hints: Sequence[str], fault: Fault | None = None
    ) -> Caption | str:
        """As in the base class."""
        shared = {"fault": asdict(fault)} if fault else {}
        cost = fault.more_tokens if fault else 1
        (answer,) = self._ask("caption", [image], [hints], shared, cost)
        if isinstance(answer, PhotoError):
            raise answer
        return answer

    def caption_batch(
        self, images: Sequence[Image], hints: Sequence[Sequence[str]]
    ) -> list[Caption | str | PhotoError]:
        """As in the base class."""
        return self._ask("batch", images, hints, {}, len(images))

    def _ask(
        self,
        kind: str,
        images: Sequence[Image],
        hints: Sequence[Sequence[str]],
        shared: dict[str, Any],
        cost: float,
    ) -> list[Caption | str | PhotoError]:
        photos = [_packed_photo(image, h) for image, h in zip(images, hints, strict=True)]
        results = self._supervisor.ask(kind, photos, shared, cost)
        return [_unpacked(result) for result in results]


_VERDICTS: dict[str, type[PhotoError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, PhotoError)
}


def _packed_settings(settings: BackendSettings) -> dict[str, Any]:
    """All but the key and the notice: the child gets no key, and says its notices by itself."""
    names = ("api_key", "notice", "options")
    values = {name: value for name, value in vars(settings).items() if name not in names}
    values["models_dir"] = str(settings.models_dir) if settings.models_dir else None
    return values | {"options": settings.options.model_dump(mode="json")}


def _packed_photo(image: Image, hints: Sequence[str]) -> dict[str, Any]:
    if image.mode != "RGB":
        image = image.convert("RGB")  # which copies one that is RGB
    return {
        "size": image.size,
        "full_size": image.info.get("full_size", image.size),
        "pixels": image.tobytes(),
        "hints": [(getattr(hint, "kind", ""), str(hint)) for hint in hints],
    }


def _unpacked(result: Any) -> Caption | str | PhotoError:
    """An answer or a verdict; an exception that is the photo's own becomes a verdict."""
    match result:
        case Blamed(code=code, message=message):
            return ModelError(message, code=code)
        case PhotoError():
            return result
        case Exception():
            return ModelError(f"{type(result).__name__}: {result}", code="exception")
        case str():
            return result
        case {"error": str(name), "message": str(message), "code": str(code), "usage": usage}:
            kind = _VERDICTS.get(name, ModelError)
            return kind(message, code=code, usage=cast("Usage", usage))
    return msgspec.convert(result, Caption)


class BackendHost:
    """What the child hosts: the backend itself."""

    def __init__(self, backend: CaptionBackend) -> None:
        self._backend = backend

    def work(self, kind: str, items: list[Any], shared: dict[str, Any]) -> list[Any]:
        """Captions of photos."""
        if kind == "plain":
            self._caption_plain()
            return [None]
        images = [_image(item) for item in items]
        hints = [_hints(item["hints"]) for item in items]
        if kind == "batch" and len(items) > 1:
            return [_packed(answer) for answer in self._backend.caption_batch(images, hints)]
        if "fault" in shared and takes_fault(self._backend):
            fault = Fault(**shared["fault"])
            return [_packed(self._backend.caption(images[0], hints[0], fault))]
        return [_packed(self._backend.caption(images[0], hints[0]))]

    def _caption_plain(self) -> None:
        from PIL import Image

        plain = Image.linear_gradient("L").resize((_PLAIN_EDGE, _PLAIN_EDGE)).convert("RGB")
        try:
            self._backend.caption(plain, ())
        except (FatalError, TransientError):
            raise
        except PhotoError:
            return  # an answer, if no caption: it is alive

    def state(self) -> dict[str, Any]:
        """What the stand-in is asked for."""
        backend = self._backend
        return {
            "batch_now": backend.batch_now,
            "batch_limit": backend.batch_limit,
            "status": backend.status(),
            **backend.facts(),
        }

    def close(self) -> None:
        """Let go of the model."""
        self._backend.close()


def host_backend(arguments: dict[str, Any], child: Child) -> BackendHost:
    """Make a backend in the child, and load its model.

    Raises:
        FatalError: as `check` does.
    """
    kind = backend_class(arguments["backend"])
    given: Mapping[str, Any] = arguments["settings"]
    settings = replace(
        BackendSettings(model=given["model"]),
        **{name: _tupled(v) for name, v in given.items() if name not in {"options", "models_dir"}},
        api_key=SecretStr(""),
        models_dir=Path(given["models_dir"]) if given["models_dir"] else None,
        options=kind.Options.model_validate(given["options"]),
        notice=child.notice,
    )
    backend = kind(settings)
    if not kind.own_process:
        raise UsageError(f"the {kind.name} backend is not made for a process of its own")
    backend.on_device = child.on_device
    backend.before = arguments.get("before", {})
    backend.check()
    return BackendHost(backend)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _hints(packed: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(Told(kind, text) if kind else text for kind, text in packed)


def _image(item: Mapping[str, Any]) -> Image:
    from PIL import Image

    image = Image.frombytes("RGB", tuple(item["size"]), item["pixels"])
    image.info["full_size"] = tuple(item["full_size"])
    return image


def _packed(answer: object) -> Any:
    if isinstance(answer, PhotoError):
        return {
            "error": type(answer).__name__,
            "message": str(answer),
            "code": answer.code,
            "usage": dict(answer.usage),
        }
    return asdict(answer) if isinstance(answer, Caption) else answer
