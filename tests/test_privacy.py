"""What leaves the machine: every provider receives pixels and the prompt, and nothing else.

A canary stands wherever a photo file can carry text, in the names around it and in the environment.
Each provider's real SDK sends to a server on loopback, which keeps every byte.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import struct
from dataclasses import replace
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image, PngImagePlugin

from picture_captioner.foreign_text import forms_of
from tests.images import exif, p3_profile, write
from tests.providers import anthropic_server, gemini_server, openai_server
from tests.providers.anthropic_server import KEY as ANTHROPIC_KEY
from tests.providers.anthropic_server import AnthropicServer
from tests.providers.gemini_server import KEY as GEMINI_KEY
from tests.providers.gemini_server import GeminiServer
from tests.providers.openai_server import OpenAIServer
from tests.providers.pictures import holds
from tests.support import caption, draw, records

CANARY = "CANARY-7f3a-Grandma"
URL_SAFE = str.maketrans("-_", "+/")
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    f'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:creator="{CANARY}"/></rdf:RDF></x:xmpmeta>'
).encode()


def marked_exif() -> Image.Exif:
    """Texts in EXIF, in the GPS directory, and in the embedded thumbnail."""
    data = exif(6, description=CANARY, copyright=CANARY)
    data[0x010F] = data[0x0110] = CANARY
    data.get_ifd(0x8825).update({0x001B: CANARY.encode(), 0x001D: "2026:11:21", 0x0001: "N"})
    data.get_ifd(0x8769).update({0x9286: CANARY.encode(), 0xA430: CANARY, 0x927C: CANARY.encode()})
    return data


def iptc() -> bytes:
    """A Photoshop resource block with IPTC's caption, as newspapers write it."""
    text = CANARY.encode()
    record = b"\x1c\x02\x78" + struct.pack(">H", len(text)) + text
    padded = record + bytes(len(record) % 2)
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + padded


def with_segment(jpeg: bytes, marker: int, payload: bytes) -> bytes:
    """The JPEG with one more segment right after its start."""
    segment = struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
    return jpeg[:2] + segment + jpeg[2:]


def embedded_thumbnail() -> bytes:
    """A JFIF extension segment that holds a small JPEG with a comment of its own."""
    small = io.BytesIO()
    Image.new("RGB", (16, 12)).save(small, "JPEG", comment=CANARY.encode())
    return b"JFXX\0\x10" + small.getvalue()


def marked_library(folder: Path) -> int:
    """Photos of every kind that carry the canary; returns how many."""
    picture = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    profile = p3_profile(CANARY)
    (folder / CANARY).mkdir(parents=True)
    jpeg = write(
        folder / CANARY / f"{CANARY}.jpg",
        picture,
        "JPEG",
        exif=marked_exif(),
        xmp=XMP,
        icc_profile=profile,
        comment=CANARY.encode(),
    )
    marked = with_segment(jpeg.read_bytes(), 0xED, iptc())
    marked = with_segment(marked, 0xE0, embedded_thumbnail())
    jpeg.write_bytes(marked + CANARY.encode())
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", CANARY)
    text.add_text("Author", CANARY * 20, zip=True)
    text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    folder = folder / CANARY
    write(folder / "2.png", picture.rotate(90), "PNG", pnginfo=text, exif=marked_exif())
    write(folder / "3.webp", picture.rotate(180), "WEBP", exif=marked_exif(), xmp=XMP)
    write(folder / "4.tif", picture.rotate(270), "TIFF", exif=marked_exif(), icc_profile=profile)
    write(folder / "5.avif", picture.resize((64, 96)), "AVIF", exif=marked_exif(), xmp=XMP)
    heif = pillow_heif.from_pillow(picture.resize((80, 80)))
    heif.save(folder / "6.heic", exif=marked_exif().tobytes(), xmp=XMP)
    return 6


def everything(body: bytes) -> list[bytes]:
    """The bytes of a request, and those of every picture in it."""
    found = [body]
    for text in strings(json.loads(body)) if body else ():
        encoded = text.rpartition(",")[2].translate(URL_SAFE)  # as Google writes it
        try:
            found.append(base64.b64decode(encoded, validate=True))
        except (binascii.Error, ValueError):
            continue
    return found


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def openai_compatible(backend: str):
    key = None if backend == "ollama" else f"{backend.upper()}_API_KEY"

    class Server(OpenAIServer):
        models = (*OpenAIServer.models, "Qwen/Qwen2.5-VL-7B-Instruct")

        @property
        def received(self):
            return self.seen

        @property
        def url(self):
            return self.base_url

    return Server, {key: "sk-secret-0123456789"} if key else {}


PROVIDERS = {
    "openai": openai_compatible("openai"),
    "xai": openai_compatible("xai"),
    "hyperbolic": openai_compatible("hyperbolic"),
    "ollama": openai_compatible("ollama"),
    "anthropic": (AnthropicServer, {"ANTHROPIC_API_KEY": ANTHROPIC_KEY}),
    "gemini": (GeminiServer, {"GEMINI_API_KEY": GEMINI_KEY}),
}


@pytest.mark.parametrize("backend", PROVIDERS)
def test_pixels_and_the_prompt_leave_and_nothing_else(tmp_path, backend):
    photos = marked_library(tmp_path / "photos")
    server_kind, keys = PROVIDERS[backend]
    environment = dict.fromkeys(("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "USERNAME", "HOME"), CANARY)
    environment |= {"OPENAI_CUSTOM_HEADERS": f"X-Me: {CANARY}", "ANTHROPIC_CUSTOM_HEADERS": CANARY}
    with server_kind() as server:
        flags = (f"--backend={backend}", f"--base-url={server.url}", "--photos-dir=photos")
        done = caption("run", *flags, cwd=tmp_path, **environment, **keys)
        assert done.returncode == 0, done.stderr
        asked = [request for request in server.received if request.method == "POST"]
        # Ollama is first asked where it runs the model, with nothing but the model's name.
        assert len(asked) == photos + (backend == "ollama")
        for request in server.received:
            said = repr((request.path, request.headers)).encode()
            for data in (*everything(request.body), said):
                assert not holds(data, CANARY)
                assert str(tmp_path).encode() not in data
        pictures = [data for request in asked for data in everything(request.body)[1:]]
        assert sum(data.startswith(b"\xff\xd8\xff") for data in pictures) == photos
    assert {record["status"] for record in records(tmp_path / "captions.jsonl")} == {"success"}


def test_the_canary_would_be_found(tmp_path):
    """The search itself works: every photo of the library holds what it looks for."""
    marked_library(tmp_path / "photos")
    files = [path for path in (tmp_path / "photos").rglob("*") if path.is_file()]
    assert len(files) == 6
    for path in files:
        assert holds(path.read_bytes(), CANARY), path.name
        body = json.dumps({"image": base64.b64encode(path.read_bytes()).decode()}).encode()
        assert any(holds(data, CANARY) for data in everything(body))


ECHO = ["as it is", "in an error", "in a refusal"]
BREAKING = ["in fields", "in a server error", "in an answer that breaks off", "before silence"]
ECHOING = {**PROVIDERS, "compatible": openai_compatible("compatible")}
del ECHOING["ollama"]  # which takes no key


def echoing(server, backend: str, how: str, key: str) -> None:
    """Let the server give the key back in every form: in caption and model, or in errors."""
    forms = [key, key[::-1], key.encode().hex()]
    for before in ("", "x", "xx"):  # wherever it begins in base64
        forms.append(base64.b64encode(f"{before}{key}!".encode()).decode())
    told = f"A {' and '.join(forms)} on a beach"
    kind = backend if backend in {"anthropic", "gemini"} else "openai"
    answer = {
        "anthropic": lambda: anthropic_server.message(told),
        "gemini": lambda: gemini_server.response(told),
        "openai": lambda: openai_server.Reply(body=openai_server.completion(told)),
    }[kind]()
    if how == "in fields":
        told = json.dumps({"caption": told, "title": f"A {key}", "tags": [key, key[::-1], "sea"]})
        answer = {
            "anthropic": lambda: anthropic_server.message(told),
            "gemini": lambda: gemini_server.response(told),
            "openai": lambda: openai_server.Reply(body=openai_server.completion(told)),
        }[kind]()
    elif how in {"in an answer that breaks off", "before silence"}:
        fault = "cut" if "breaks" in how else "hang"
        answer = replace(answer, **({fault: True} if kind == "openai" else {"fault": fault}))
    elif how == "as it is":
        for name in ("model", "modelVersion"):
            if name in answer.body:
                answer.body[name] = f"gpt-{key[::-1]}"
        if kind == "openai":
            answer.body["service_tier"] = key
        elif kind == "anthropic":
            answer.body["usage"]["service_tier"] = " ".join(key)
    else:
        status = {"in an error": 400, "in a refusal": 403}.get(how, 500)
        answer = {
            "anthropic": lambda: anthropic_server.error(status, "api_error", told),
            "gemini": lambda: gemini_server.error(status, "INTERNAL", told),
            "openai": lambda: openai_server.failure(status, told, code=key),
        }[kind]()
    server.script.extend([answer] * 40)


@pytest.mark.parametrize(
    ("backend", "how"),
    [(backend, how) for backend in ECHOING for how in ECHO]
    + [(b, how) for b in ("openai", "anthropic", "gemini", "compatible") for how in BREAKING],
)
def test_a_key_that_a_server_gives_back_is_kept_nowhere(tmp_path, backend, how):
    draw(tmp_path / "photos" / "a.jpg")
    server_kind, keys = ECHOING[backend]
    (key,) = keys.values()
    with server_kind() as server:
        echoing(server, backend, how, key)
        done = caption(
            "run", f"--backend={backend}", f"--base-url={server.url}", "--photos-dir=photos",
            # A caption with keys in it is asked for again, and the bills are of a larger photo.
            *(("--max-photo-cost=1",) if backend == "anthropic" else ()),
            *(("--fields=caption,title,tags",) if how == "in fields" else ()),
            *(("--timeout=1",) if how == "before silence" else ()),
            *(("--model=llava:latest",) if backend == "compatible" else ()),
            cwd=tmp_path, LOG_LEVEL="DEBUG", **keys,
        )  # fmt: skip
    answered = how in {"as it is", "in fields"}
    assert done.returncode == 0 or not answered, done.stderr
    found = caption("search", "beach", cwd=tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    said = {"console": (done.stdout + done.stderr + found.stdout + found.stderr).encode()}
    assert {"captions.jsonl", "caption.log"} <= set(kept)
    if answered:
        assert b"[key]" in kept["captions.jsonl"]
    for place, data in (kept | said).items():
        for form in forms_of(key):
            assert form.encode() not in data, f"{form} in {place}: {data[:2000]!r}"
        assert " ".join(key).encode() not in data, place
