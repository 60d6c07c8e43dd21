"""What the tests of the OpenAI-compatible backends share."""

from PIL import Image
from pydantic import SecretStr

from picture_captioner.backends.base import BackendSettings
from picture_captioner.backends.compatible import CompatibleBackend
from picture_captioner.backends.hyperbolic import HyperbolicBackend
from picture_captioner.backends.ollama import OllamaBackend
from picture_captioner.backends.openai import OpenAIBackend
from picture_captioner.backends.registry import parse_options
from picture_captioner.backends.xai import XaiBackend

KEY = "sk-canary-0123456789"
FAMILY = [OpenAIBackend, XaiBackend, OllamaBackend, HyperbolicBackend, CompatibleBackend]
PHOTO = Image.new("RGB", (64, 48), (200, 90, 30))


def backend(server, kind=OpenAIBackend, options=(), **settings):
    given = {
        "model": kind.default_model or "gpt-5.6-luna",
        "api_key": SecretStr(KEY),
        "base_url": server if isinstance(server, str) else server.base_url,
        "timeout": 10.0,
        "options": parse_options(kind, options),
    }
    return kind(BackendSettings(**given | settings))


def asked(server, **arguments):
    backend(server, **arguments).caption(PHOTO, ())
    return server.captions_asked()[-1].json
