"""An address belongs to the backend it was set for: no key reaches a server of somebody else."""

from __future__ import annotations

import pytest

from tests.providers.openai_server import OpenAIServer
from tests.support import caption, library, start

KEYED = ("openai", "anthropic", "gemini", "xai", "hyperbolic")
NOWHERE = {"HTTPS_PROXY": "http://127.0.0.1:9"}
"""Whatever goes to a provider in earnest ends here."""


def key(backend):
    return f"sk-canary-of-{backend}-0123456789"


KEYS = {f"{backend.upper()}_API_KEY": key(backend) for backend in (*KEYED, "compatible")}


@pytest.fixture
def place(tmp_path):
    library(tmp_path / "photos", 1)
    return tmp_path


def ask(place, *arguments, **env):
    return caption(*arguments, "--photos-dir=photos", cwd=place, **(KEYS | NOWHERE | env))


@pytest.mark.parametrize(
    ("backend", "owner"),
    [*((backend, "") for backend in KEYED), ("openai", "BACKEND=ollama\n")],
)
def test_a_key_does_not_go_to_a_server_of_ones_own(place, backend, owner):
    with OpenAIServer() as server:
        (place / "config.env").write_text(f"{owner}BASE_URL={server.base_url}\nMODEL=\n")
        done = ask(place, "run", f"--backend={backend}")
        assert server.seen == []
    assert done.returncode in {69, 78}, done.stderr
    assert f"BASE_URL was set for another backend and is not used for {backend}" in done.stderr
    assert f"{backend.upper()}_BASE_URL=" in done.stderr


def test_neither_does_that_of_a_fallback_or_of_a_column(place):
    with OpenAIServer() as server:
        lines = f"BACKEND=compatible\nMODEL=llava:latest\nBASE_URL={server.base_url}\n"
        (place / "config.env").write_text(lines)
        done = ask(place, "run", "--fallback=openai")
        assert done.returncode == 0, done.stderr
        assert "openai, model gpt-5.6-luna is left out" in done.stderr
        done = ask(place, "compare", "--backends=openai,compatible:llava:latest")
        assert done.returncode == 69
        sent = {request.headers["authorization"] for request in server.seen}
        assert sent == {f"Bearer {key('compatible')}"}
        ask(place, "estimate", "--backend=openai")
        assert {request.headers["authorization"] for request in server.seen} == sent


@pytest.mark.parametrize(
    ("lines", "env", "flags"),
    [
        ("OPENAI_BASE_URL={url}", {}, ["--backend=openai"]),
        ("BACKEND=openai\nBASE_URL={url}", {}, []),
        (
            "BASE_URL=http://localhost:9/v1",
            {"CAPTION_OPENAI_BASE_URL": "{url}"},
            ["--backend=openai"],
        ),
        ("OPENAI_BASE_URL=http://localhost:9/v1", {}, ["--backend=openai", "--base-url={url}"]),
    ],
)
def test_an_address_of_its_own_is_used(place, lines, env, flags):
    with OpenAIServer() as server:

        def filled(text):
            return text.format(url=server.base_url)

        (place / "config.env").write_text(filled(lines))
        values = {name: filled(value) for name, value in env.items()}
        done = ask(place, "run", *map(filled, flags), **values)
        assert done.returncode == 0, done.stderr
        assert {r.headers["authorization"] for r in server.seen} == {f"Bearer {key('openai')}"}
        assert "is not" not in done.stderr


def test_a_fallback_and_a_column_have_the_address_of_config_env(place):
    with OpenAIServer() as server:
        (place / "config.env").write_text(f"COMPATIBLE_BASE_URL={server.base_url}\n")
        done = ask(place, "compare", "--backends=compatible:llava:latest")
        assert done.returncode == 0, done.stderr
        done = ask(place, "run", "--backend=ollama", "--fallback=compatible:llava:latest")
        assert done.returncode == 0, done.stderr
        assert len(server.captions_asked()) == 2


@pytest.mark.parametrize(
    "command",
    [
        ["run", "--backend=openai", "--base-url={url}"],
        ["run", "--backend=compatible", "--base-url={url}"],
        [
            "run",
            "--backend=openai",
            "--base-url={url}",
            "--fallback=compatible:llava:latest@{other}",
        ],
        ["compare", "--backends=openai@{url}"],
    ],
)
def test_the_host_is_named_before_its_first_request(place, command):
    """`check()` asks for models with the key; at each request the lines so far are kept."""

    class Server(OpenAIServer):
        models = ("llava:latest",) if "--backend=compatible" in command else OpenAIServer.models

        def reply_to(self, request):
            said.append((self.host, (place / "output.txt").read_text()))
            return super().reply_to(request)

    said = []
    with Server() as server, Server() as other:
        words = [word.format(url=server.base_url, other=other.base_url) for word in command]
        process = start(*words, "--photos-dir=photos", cwd=place, **(KEYS | NOWHERE))
        process.wait(60)
    assert said
    for host, so_far in said:
        assert host in so_far
    assert any("@{other}" not in " ".join(command) or host == other.host for host, _ in said)


FOREIGN = {
    "LANGUAGE": "de_DE:de",
    "LOG_LEVEL": "info",
    "BASE_URL": "/app/",
    "PROMPT": "%n@%m $",
    "MODEL": "ThinkPad",
    "BACKEND": "postgres",
    "FIELDS": "a b",
    "TIMEOUT": "30s",
}


def test_the_environment_of_other_programs_changes_nothing_that_is_asked(place):
    """gettext's LANGUAGE, set on desktops and not in cron, once went into every paid prompt."""
    bodies = []
    for foreign in ({}, FOREIGN):
        with OpenAIServer() as server:
            (place / "captions.jsonl").unlink(missing_ok=True)
            done = ask(place, "run", "--backend=openai", f"--base-url={server.base_url}", **foreign)
            assert done.returncode == 0, done.stderr
            bodies.append([request.body for request in server.captions_asked()])
    assert bodies[0] == bodies[1] != []
    assert "BACKEND and MODEL and PROMPT in the environment: not read" in done.stderr
