"""Caption, cluster and chunk a private photo library (README.md).

What other programs may use is offered here and imported when it is asked for, so that importing
the package costs nothing (docs/use_as_a_library.md).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picture_captioner.backends.base import CaptionBackend
    from picture_captioner.backends.registry import BACKENDS, load_backend
    from picture_captioner.errors import CorruptImageError
    from picture_captioner.image_loader.loading import load_image
    from picture_captioner.journal.reading import read_captions
    from picture_captioner.journal.writing import Journal as CaptionJournal

__all__ = [
    "BACKENDS",
    "CaptionBackend",
    "CaptionJournal",
    "CorruptImageError",
    "load_backend",
    "load_image",
    "read_captions",
]

_WHERE = {
    "BACKENDS": ("backends.registry", "BACKENDS"),
    "CaptionBackend": ("backends.base", "CaptionBackend"),
    "CaptionJournal": ("journal.writing", "Journal"),
    "CorruptImageError": ("errors", "CorruptImageError"),
    "load_backend": ("backends.registry", "load_backend"),
    "load_image": ("image_loader.loading", "load_image"),
    "read_captions": ("journal.reading", "read_captions"),
}


def __getattr__(name: str) -> Any:
    """One of the names above, from the file that owns it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    file, attribute = _WHERE[name]
    return getattr(import_module(f"{__name__}.{file}"), attribute)
