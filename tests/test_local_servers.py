"""Whole runs against servers on this machine that say what their models can do, and where."""

from __future__ import annotations

import pytest

from tests.providers.openai_server import OpenAIServer, Reply, completion, failure
from tests.support import caption, library, records

VISION = {
    "details": {"family": "qwen25vl"},
    "model_info": {"general.architecture": "qwen25vl", "qwen25vl.context_length": 128000},
    "capabilities": ["completion", "vision"],
}
CLOUD = {
    "model_info": {},
    "capabilities": ["completion", "vision", "thinking"],
    "remote_model": "gemma4:31b",
    "remote_host": "https://ollama.com:443",
}
LM_STUDIO = {
    "models": [
        {
            "type": "embedding",
            "key": "text-embedding-nomic-embed-text-v1.5",
            "loaded_instances": [],
            "max_context_length": 2048,
        },
        {
            "type": "llm",
            "key": "qwen2.5-vl-3b-instruct",
            "loaded_instances": [],
            "max_context_length": 128000,
            "capabilities": {"vision": True, "trained_for_tool_use": False},
        },
    ]
}


@pytest.fixture
def server():
    with OpenAIServer() as running:
        yield running


@pytest.fixture
def run(tmp_path, server):
    library(tmp_path / "photos", 2)

    def caption_them(*flags):
        address = f"--base-url={server.base_url}"
        return caption("run", address, "--photos-dir=photos", *flags, cwd=tmp_path)

    return caption_them


@pytest.mark.parametrize("backend", ["ollama", "compatible"])
@pytest.mark.parametrize("model", ["gemma4:cloud", "gpt-oss:120b-cloud", "copied-name"])
def test_a_cloud_model_behind_localhost_is_refused_with_local_only(server, run, backend, model):
    server.models, server.show = (model,), CLOUD
    done = run(f"--backend={backend}", f"--model={model}", "--local-only")
    assert done.returncode == 78, done.stderr
    assert "passes every photo on to ollama.com" in done.stderr
    assert server.captions_asked() == []


def test_a_cloud_models_name_is_enough(server, run):
    server.models = ("gemma4:cloud",)
    done = run("--backend=ollama", "--model=gemma4:cloud", "--local-only")
    assert done.returncode == 78, done.stderr
    assert server.seen == []


@pytest.mark.parametrize("backend", ["ollama", "compatible"])
def test_a_cloud_model_is_named_and_not_called_free(tmp_path, server, run, backend):
    server.models, server.show = ("copied-name",), CLOUD
    done = run(f"--backend={backend}", "--model=copied-name")
    assert done.returncode == 0, done.stderr
    assert f"Sending 2 photos to {server.host}, which passes them on to ollama.com" in done.stderr
    assert "free" not in done.stderr
    assert len(records(tmp_path / "captions.jsonl")) == 2


def test_a_model_that_runs_here_is_free_and_stays(server, run):
    server.show = VISION
    done = run("--backend=ollama", "--local-only")
    assert done.returncode == 0, done.stderr
    assert f"Sending 2 photos to {server.host}: " in done.stderr
    assert "free" in done.stderr


def test_an_ollama_that_does_not_say_where_it_runs_a_model_gets_no_photo(server, run):
    done = run("--backend=ollama", "--local-only")
    assert done.returncode == 69, done.stderr
    assert "/api/show" in done.stderr
    assert server.captions_asked() == []


def test_a_blind_model_is_told_before_the_first_photo(server, run):
    server.show = VISION | {"capabilities": ["completion"]}
    done = run("--backend=ollama")
    assert done.returncode == 78, done.stderr
    assert "cannot see images" in done.stderr
    assert server.captions_asked() == []


def with_loaded(*keys):
    """LM Studio's list with one more model that sees; those named are loaded."""
    another = LM_STUDIO["models"][1] | {"key": "gemma-3-4b"}
    instance = {"id": "1", "config": {"context_length": 4096}}
    models = [
        model | {"loaded_instances": [instance] if model["key"] in keys else []}
        for model in (*LM_STUDIO["models"], another)
    ]
    return {"models": models}


@pytest.mark.parametrize(
    ("listed", "chosen"),
    [(LM_STUDIO, "qwen2.5-vl-3b-instruct"), (with_loaded("gemma-3-4b"), "gemma-3-4b"), (None, "a")],
    ids=["the only one that sees", "the one that is loaded", "by name, of a server without a list"],
)
def test_lm_studio_needs_no_model_name(tmp_path, server, run, listed, chosen):
    """The two commands of docs/api_providers.md."""
    server.lm_studio = listed
    keys = [model["key"] for model in listed["models"]] if listed else ["a", "bge-m3-embed"]
    server.models = tuple(keys)
    done = run("--backend=compatible", "--local-only")
    assert done.returncode == 0, done.stderr
    assert {r["model"] for r in records(tmp_path / "captions.jsonl")} == {chosen}


def test_several_models_that_see_are_left_to_the_person(server, run):
    server.lm_studio = with_loaded()
    server.models = tuple(model["key"] for model in server.lm_studio["models"])
    done = run("--backend=compatible")
    assert done.returncode == 78, done.stderr
    assert "--model: qwen2.5-vl-3b-instruct, gemma-3-4b\n" in done.stderr


OVERFLOWS = {
    "ollama": "the prompt is longer than the context length currently available to the model",
    "ollama, before": "the input length exceeds the context length",
    "vllm": "This model's maximum context length is 1024 tokens. However, you requested 1500.",
    "llama.cpp": "the request exceeds the available context size, try increasing it",
    "lm studio": "Trying to keep the first 1500 tokens when context the overflows. However, ...",
}


@pytest.mark.parametrize("words", OVERFLOWS.values(), ids=OVERFLOWS)
@pytest.mark.parametrize(
    ("backend", "cure"), [("ollama", "OLLAMA_CONTEXT_LENGTH=8192"), ("compatible", "-c 8192")]
)
def test_a_context_that_is_too_small_is_no_verdict_on_the_photo(
    tmp_path, server, run, words, backend, cure
):
    server.script.extend([failure(400, words)] * 20)
    done = run(f"--backend={backend}", "--model=qwen2.5vl:3b")
    assert done.returncode == 78, done.stderr
    assert cure in done.stderr
    assert "--max-edge 768" in done.stderr
    assert records(tmp_path / "captions.jsonl") == []


def test_a_question_that_the_server_cut_is_noticed(server, run):
    usage = {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}
    server.script.extend([Reply(body=completion() | {"usage": usage})] * 2)
    done = run("--backend=ollama")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("it may have cut the question") == 1
    assert "OLLAMA_CONTEXT_LENGTH=8192" in done.stderr


def test_a_deployment_of_azure_is_used_and_priced_as_its_model(tmp_path, server):
    library(tmp_path / "photos", 2)
    flags = ("--backend=openai", f"--base-url={server.base_url}", "--photos-dir=photos")
    deployment = (*flags, "--model=holiday-photos")
    missing = caption("run", *deployment, cwd=tmp_path, OPENAI_API_KEY="sk-0123456789abcdef")
    assert missing.returncode == 78
    assert "--option deployed_model=" in missing.stderr
    known = (*deployment, "--option", "deployed_model=gpt-5.6-luna")
    done = caption("run", *known, cwd=tmp_path, OPENAI_API_KEY="sk-0123456789abcdef")
    assert done.returncode == 0, done.stderr
    sent = server.captions_asked()[-1].json
    assert (sent["model"], sent["reasoning_effort"]) == ("holiday-photos", "none")
    for record in records(tmp_path / "captions.jsonl"):
        assert record["model"] == "holiday-photos"
        assert 0 < record["cost_usd"] < 0.001


def test_hyperbolic_has_no_address_to_fall_back_on(tmp_path):
    library(tmp_path / "photos", 2)
    flags = ("--backend=hyperbolic", "--photos-dir=photos")
    done = caption("run", *flags, cwd=tmp_path, HYPERBOLIC_API_KEY="0123456789abcdef")
    assert done.returncode == 78, done.stderr
    assert "retired" in done.stderr
    assert "--base-url" in done.stderr
