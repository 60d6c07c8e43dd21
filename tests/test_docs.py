"""What the documents say is true: their commands run, their tables are the program's own."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import pytest
import typer

from picture_captioner.backends.registry import BUILT_IN, backend_class
from picture_captioner.cli import caption_app, report_app
from picture_captioner.errors import ConfigurationError
from tests.support import ROOT, caption, draw, environment, install_package, records

HOUSE = ROOT / "picture_captioner"
README = (ROOT / "README.md").read_text("utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_first_command_of_the_readme_captions_the_examples(tmp_path):
    (line,) = re.findall(r"^    pip install uv && uv run caption\.py (.*)$", README, re.MULTILINE)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    done = caption(*shlex.split(line), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"examples", "caption.log"}, "what is captioned next begins a journal of its own"
    found = {r["rel_path"]: r for r in records(tmp_path / "examples" / "captions.jsonl")}
    shown = re.search(r'"caption":"([^"]*)"', README)
    assert shown is not None
    assert found["2024-07-lake/mountain_lake.jpg"]["caption"] == shown[1]
    statuses = [record["status"] for record in found.values()]
    assert statuses.count("error_corrupt") == 1
    assert statuses.count("success") == len(statuses) - 1 >= 12


def test_the_overnight_lines_of_the_documents_name_their_backend():
    """Without one the loop takes `local`, which ends after seconds where it is not installed."""
    documents = {path.name: path.read_text("utf-8") for path in DOCUMENTS}
    for name in ("README.md", "self_hosted_models.md"):
        (line,) = re.findall(r"^    nohup \./run_loop\.sh (.*)$", documents[name], re.MULTILINE)
        assert line.startswith("local "), name
    assert "names of places, `uv sync --inexact --extra places`" in README


def test_commands_of_the_documents_work_in_a_checkout():
    """Where the reader is, `caption.py` is no command of the shell."""
    bare = [
        (path.name, line)
        for path in DOCUMENTS
        for line in path.read_text("utf-8").splitlines()
        if re.match(r"^ {4,}(?:\S+=\S+ )*(caption|cluster_report)\.py [a-z-]", line)
    ]
    assert not bare, bare


def test_the_second_command_of_the_readme_is_what_ci_runs():
    commands = re.findall(r"^    (pip install uv && uv run .*pytest.*)$", README, re.MULTILINE)
    assert commands == ["pip install uv && uv run --extra dev pytest -n auto --dist worksteal"]
    assert "README.md" in (ROOT / ".ci" / "run").read_text("utf-8")


def all_flags(command):
    """The flags of a command and of those in its group."""
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for inner in getattr(command, "commands", {}).values():
        yield from all_flags(inner)


def test_every_flag_that_a_document_names_exists():
    apps = (caption_app.app, report_app.app)
    known = {flag for app in apps for flag in all_flags(typer.main.get_command(app))}
    foreign = {"--help", "--figures", "--torture", "--skipped", "--dist"}  # of every one; of pytest
    foreign |= {"--extra", "--all-extras", "--no-extra", "--inexact", "--no-deps"}  # of uv
    foreign |= {"--max-model-len", "--host", "--profile", "--sidecar"}  # of vLLM, aws, osxphotos
    foreign |= {
        "--user",
        "--now",
        "--address",
        "--region",
        "--bucket",
        "--lifecycle-configuration",
    }  # systemctl, ray start, aws
    foreign |= {
        "--headless",
        "--hide-scrollbars",
        "--virtual-time-budget",
        "--window-size",
        "--screenshot",
        "--blink-settings",
    }  # Chromium
    for file in (ROOT / "benchmarks").rglob("*.py"):
        foreign |= set(
            re.findall(r'add_argument\(\s*"(--[a-z][a-z0-9-]+)"', file.read_text("utf-8"))
        )
    for document in DOCUMENTS:
        lines = [line for line in document.read_text("utf-8").splitlines() if "pip " not in line]
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", "\n".join(lines)))
        assert named - known - foreign == set(), document


def test_every_option_of_a_backend_stands_in_a_document():
    told = "".join(path.read_text("utf-8") for path in DOCUMENTS if path.name != "log.md")
    for name in (plugin.name for plugin in BUILT_IN):
        try:
            options = backend_class(name).Options.model_fields
        except ConfigurationError:  # its extra is not installed
            continue
        for option in options:
            flag = f"--{option.replace('_', '-')}"
            assert re.search(rf"`{option}[=`]|--option {option}=|{flag}\b", told), (name, option)


def commands_in(text):
    """What a document has people type, without comments and what follows in a pipe; each program's.

    Whole lines, and the words between backticks, which may leave out what is to be filled in.
    """
    text = re.sub(r"\\\n *", "", text)
    for indent, program, words in re.findall(
        r"(^ {4,}|`)(?:[^`\n]*?[ ;])?(caption|cluster_report)\.py (?! )((?:[^`\n]|(?<=#)`)+)",
        text,
        re.M,
    ):
        if indent != "`":  # a column to the right says what it does
            words = re.split(r" {3,}|\s[|#;>]|; ", words)[0]
        elif words.count("'") % 2 or "..." in words:
            continue
        yield program, indent == "`", shlex.split(words)


def parse(program, words):
    """As the program would, up to what the command does.

    Raises:
        typer.TyperException: there is no such command or flag, or a value does not fit.
    """
    app = report_app.app if program == "cluster_report" else caption_app.app
    command, name = typer.main.get_command(app), program
    while getattr(command, "commands", None):
        with command.make_context(name, words) as context:
            found = command.resolve_command(context, [*context._protected_args, *context.args])
        name, command, words = found
    command.make_context(name, words)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_command_of_a_document_is_one(document):
    """Each flag is the command's own, and not only one that some other command has."""
    wrong = []
    for program, inline, words in commands_in(document.read_text("utf-8")):
        try:
            parse(program, words)
        except typer.Exit:  # --help and --version say what they have to say at once
            continue
        except typer.TyperException as error:
            if not (inline and type(error).__name__ == "MissingParameter"):
                wrong.append(f"{program}.py {shlex.join(words)}: {error.format_message()}")
    assert not wrong


def test_a_command_that_is_none_would_be_found():
    found = list(
        commands_in("    uv run caption.py report --library X   # says\n`caption.py tags x`")
    )
    assert found == [
        ("caption", False, ["report", "--library", "X"]),
        ("caption", True, ["tags", "x"]),
    ]
    for program, _, words in found:
        with pytest.raises(typer.TyperException):
            parse(program, words)


def test_the_backend_of_the_document_works_as_it_stands(tmp_path):
    text = (ROOT / "docs" / "adding_a_backend.md").read_text("utf-8")
    (module,) = code_blocks(text, "python")
    (entry_point,) = code_blocks(text, "toml")
    points = tomllib.loads(entry_point)["project"]["entry-points"]
    assert list(points) == ["picture_captioner.backends"]
    lines = [f"{name} = {target}" for group in points.values() for name, target in group.items()]
    plugin = install_package(tmp_path / "plugin", {"average_colour": module}, *lines)
    draw(tmp_path / "photos" / "one.jpg", seed=3)
    flags = ("--backend=average-colour", "--photos-dir=photos", "--option=digits=2")
    done = caption("run", *flags, cwd=tmp_path, PYTHONPATH=plugin)
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path / "captions.jsonl")
    assert re.fullmatch(r"On average #[0-9a-f]{6}\.", record["caption"])
    assert record["model_version"] == "average-1.0"
    listed = caption("backends", cwd=tmp_path, PYTHONPATH=plugin).stdout
    assert "average-colour" in listed


def test_json_of_a_run_is_as_the_document_shows_it(tmp_path):
    (shown,) = code_blocks((ROOT / "docs" / "unattended.md").read_text("utf-8"), "json")
    draw(tmp_path / "photos" / "one.jpg", seed=3)
    (tmp_path / "photos" / "broken.jpg").write_text("xx")
    done = caption("run", "--photos-dir=photos", "--json", cwd=tmp_path)
    told = {
        "journal": str(tmp_path / "captions.jsonl"),
        "seconds": json.loads(done.stdout)["seconds"],
    }
    assert json.loads(done.stdout) == json.loads(shown) | told


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_between_documents_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)", document.read_text("utf-8"))
    for target, anchor in links:
        if "://" not in target:
            page = document.parent / target if target else document
            assert page.exists(), target
            assert not anchor or anchor in anchors(page.read_text("utf-8")), f"{target}#{anchor}"


def anchors(text):
    """What its headings are called in a link."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


def test_the_log_is_in_order_and_its_subjects_lead_to_its_sections():
    log, _, subjects = (ROOT / "docs" / "log.md").read_text("utf-8").partition("## Where to look")
    sections = re.findall(r"^## (.*)$", log, re.MULTILINE)
    days = [re.match(r"(\d{4}-\d\d-\d\d): \S", section)[1] for section in sections]
    assert days == sorted(days, reverse=True)
    assert len(set(sections)) == len(sections)
    linked = re.findall(r"\]\(#([^)]+)\)", subjects)
    assert len(linked) >= 90


def indented_commands(text: str) -> list[str]:
    return re.findall(r"^    (uv run .*?)(?:\s+#.*)?$", text, re.MULTILINE)


def test_the_readmes_own_sequence_works_in_a_fresh_home(tmp_path):
    """Word for word, with PHOTOS_DIR alone set: a dry run before it leaves nothing undone."""
    section = README.partition("## Your own photos")[2].partition("**Stop**")[0]
    photos = tmp_path / "Pictures"
    for number in range(3):
        draw(photos / f"{number}.jpg", seed=number)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    example = (ROOT / "config.env.example").read_text("utf-8")
    (tmp_path / "config.env").write_text(example.replace("PHOTOS_DIR=", f"PHOTOS_DIR={photos}"))
    commands = indented_commands(section)
    assert [shlex.split(c)[3:] for c in commands] == [
        ["run", "--dry-run"],
        ["estimate"],
        ["run"],
        ["stats"],
    ]
    said = []
    for command in commands:
        done = caption(*shlex.split(command)[3:], cwd=tmp_path, HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
        said.append(done)
    assert "1 broken photo" in said[0].stderr
    assert f"Settings from {tmp_path / 'config.env'}" in said[0].stderr
    assert re.search(r"^remaining +3 ", said[1].stdout, re.MULTILINE), said[1].stdout
    found = {r["rel_path"]: r for r in records(tmp_path / "captions.jsonl")}
    captions = [r["caption"] for r in found.values() if r["status"] == "success"]
    assert len(captions) == 3
    assert not any("mock" in text for text in captions)
    # The next command that the run names, as it stands.
    again = re.search(r"Next, for real captions: (.*?) \(", said[2].stderr)
    assert again is not None
    words = shlex.split(again[1].replace("--backend=NAME", "--backend=mock"))
    assert caption(*words[2:], cwd=tmp_path, HOME=str(tmp_path)).returncode == 0


def test_the_service_of_the_document_runs_as_it_stands(tmp_path):
    """The unit's own environment and command, and the cron line, with other folders."""
    text = (ROOT / "docs" / "unattended.md").read_text("utf-8")
    (unit, _) = code_blocks(text, "ini")
    assert "OOMPolicy=continue" in unit
    draw(tmp_path / "Pictures" / "one.jpg")
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions" / "config.env").write_text("MAX_WORKERS=1\n")
    moved = {"/home/me/picture-captioner": str(ROOT), "/home/me": str(tmp_path)}

    def here(line):
        for old, new in moved.items():
            line = line.replace(old, new)
        return line.replace(" ollama ", " mock ")

    start = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    (cron,) = re.findall(r"^    0 1 \* \* \* (.*)$", text, re.MULTILINE)
    assert start is not None
    variables = dict(re.findall(r"^Environment=(CAPTION\w+)=(.*)$", unit, re.MULTILINE))
    program = {"CAPTION": f"{sys.executable} {ROOT / 'caption.py'}"}
    env = environment(**{n: here(v) for n, v in variables.items()}, **program)
    for line in (here(start[1]), here(cron)):
        journal = tmp_path / "captions" / "captions.jsonl"
        journal.unlink(missing_ok=True)
        done = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, env=env, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + (tmp_path / "captions/loop.log").read_text()
        assert len(records(journal)) == 1


def index_of_behaviours():
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    return re.findall(r"^\| (.+) \| `([\w/]+)\.py` \| `([\w.]+)` \|$", text, re.MULTILINE)


def test_every_behaviour_is_where_the_index_says():
    """By what the files define: some cannot be imported without an extra."""
    found = index_of_behaviours()
    assert len(found) >= 40
    for _, file, symbol in found:
        owner = ast.parse((ROOT / "picture_captioner" / f"{file}.py").read_text("utf-8"))
        for name in symbol.split("."):
            defined = {name: node for node in owner.body for name in _names(node)}
            assert name in defined, f"{file}.py has no {symbol}"
            owner = defined[name]


def _names(node):
    """What a statement of a module or a class defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    inside = ast.walk(node) if isinstance(node, ast.Assign | ast.AnnAssign) else ()
    return [n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]


def test_the_blocks_for_python_run(tmp_path):
    text = (ROOT / "docs" / "use_as_a_library.md").read_text("utf-8")
    shutil.copy(ROOT / "examples" / "photos" / "2024-07-lake" / "pizza.jpg", tmp_path / "photo.jpg")
    assert caption("run", ".", cwd=tmp_path).returncode == 0
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block],
            cwd=tmp_path,
            env={**environment(), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, ""), block
        assert done.stdout.strip()
