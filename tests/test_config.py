"""Flag > environment > config.env > default; what is wrong is named with its place."""

import itertools
import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picture_captioner.config import Settings, load_settings, variable_of
from picture_captioner.declaration import declared
from picture_captioner.errors import ConfigurationError, UsageError
from picture_captioner.settings import KEYS
from tests import settings_page
from tests.support import ROOT, caption, library

SECRET = "sk-test-4711"
OWN = {*(name.upper() for name in declared(Settings)), *KEYS}


def unknown_settings(**more):
    settings = load_settings()
    return [*settings.file.faults(), *settings.idle(**more)]


@pytest.fixture(autouse=True)
def _empty_place(tmp_path, monkeypatch):
    """A working directory without config.env, an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n in OWN or n.startswith("CAPTION_")]:
        monkeypatch.delenv(name)


def write(text, encoding="utf-8"):
    Path("config.env").write_bytes(text.encode(encoding))


SOURCES = ("default", "file", "environment", "flag")


@pytest.mark.parametrize("given_by", [*itertools.product([False, True], repeat=3)])
def test_the_nearest_source_wins(given_by, monkeypatch):
    by_file, by_environment, by_flag = given_by
    if by_file:
        write("MODEL=file\nMAX_WORKERS=1\n")
    if by_environment:
        monkeypatch.setenv("CAPTION_MODEL", "environment")
        monkeypatch.setenv("CAPTION_MAX_WORKERS", "2")
    flags = {"model": "flag", "max_workers": 3} if by_flag else {"model": None}
    settings = load_settings(**flags)
    nearest = max(i for i, there in enumerate((True, *given_by)) if there)
    assert settings.max_workers == nearest
    assert settings.model == (SOURCES[nearest] if nearest else "")


def test_what_is_empty_is_not_given(monkeypatch):
    write("MODEL=file\nMAX_WORKERS=\nPHOTOS_DIR=\n")
    monkeypatch.setenv("CAPTION_MODEL", "")
    settings = load_settings()
    assert (settings.model, settings.max_workers, settings.photos_dir) == ("file", 0, None)


def test_flags_of_zero_and_of_nothing_are_given():
    write("MAX_WORKERS=5\nPROMPT=file\n")
    settings = load_settings(max_workers=0, prompt="")
    assert (settings.max_workers, settings.prompt) == (0, "")


def test_the_example_file_sets_the_defaults_and_nothing_unknown():
    example = (ROOT / "config.env.example").read_text("utf-8")
    write(example)
    assert load_settings() == Settings()
    assert unknown_settings() == []
    assert {line.partition("=")[0] for line in example.splitlines()} >= OWN


def test_the_example_file_and_the_page_are_made_from_the_declarations():
    """`python -m tests.settings_page` writes both."""
    assert (ROOT / "config.env.example").read_text("utf-8") == settings_page.example()
    assert settings_page.table() in (ROOT / "docs" / "settings.md").read_text("utf-8")


def test_a_line_that_nobody_can_read_is_told_by_its_number(capfd):
    write('MODEL=mine\n\nPROMPT="What is it?\n')
    assert load_settings().model == "mine"
    (told,) = unknown_settings()
    assert told.startswith("line 3 of ")
    assert "quotation mark" in told
    assert "What is it" not in told
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("lines", "fault", "missed", "command"),
    [
        ("PHOTOS_DIR='photos\nBACKEND=mock\n", "line 1 of", "which photos?", ["run"]),
        ("PHOTOS_DIR photos\n", "line 1 of", "which photos?", ["estimate", "-q"]),
        ("PHOTO_DIR=photos\n", "did you mean 'PHOTOS_DIR'?", "which photos?", ["run", "-q"]),
        ('CAPTIONS_JSONL="a.jsonl\n', "line 1 of", "there is no journal", ["stats"]),
        ("CAPTION_JSONL=a.jsonl\n", "did you mean", "there is no journal", ["journal", "check"]),
        ("OPENAI_API_KEY='sk-1\n", "line 1 of", "needs a key", ["run", "--backend=openai"]),
    ],
)
def test_a_fault_of_the_file_is_told_once_and_before_what_is_missed_for_it(
    tmp_path, lines, fault, missed, command
):
    write(lines)
    if "PHOTO" not in lines:
        library(tmp_path / "photos", 1)
        command = [*command, "--photos-dir=photos"] if "run" in command else command
    told = caption(*command, cwd=tmp_path).stderr
    assert told.count(fault) == 1, told
    assert told.index(fault) < told.index(missed), told


FOREIGN = {
    "LANGUAGE": "de_DE:de",
    "LOG_LEVEL": "info",
    "BASE_URL": "/app/",
    "PROMPT": "%n@%m $",
    "MODEL": "ThinkPad X1",
    "BACKEND": "postgres",
    "FIELDS": "a b c",
    "TIMEOUT": "30s",
    "FALLBACK": "none",
    "MAX_TOKENS": "many",
    "LOG_FILE": "/var/log/other",
    "TEMPERATURE": "hot",
}


def test_other_programs_settings_change_nothing(monkeypatch):
    write("MODEL=mine\n")
    before = load_settings()
    for name, value in FOREIGN.items():
        monkeypatch.setenv(name, value)
    assert load_settings() == before
    (told,) = unknown_settings()
    assert told.startswith("BACKEND and MODEL and PROMPT in the environment: not read")
    assert "CAPTION_BACKEND" in told


def test_photos_dir_and_journal_have_no_prefix_and_others_must(monkeypatch):
    monkeypatch.setenv("PHOTOS_DIR", "/a")
    monkeypatch.setenv("CAPTIONS_JSONL", "/b.jsonl")
    monkeypatch.setenv("CAPTION_LANGUAGE", "German")
    settings = load_settings()
    assert (settings.photos_dir, settings.captions_jsonl) == (Path("/a"), Path("/b.jsonl"))
    assert settings.language == "German"
    assert unknown_settings() == []


@pytest.mark.parametrize(
    ("name", "nearest"), [("CAPTION_MODLE", "CAPTION_MODEL"), ("CAPTION_PHOTOS_DIR", "PHOTOS_DIR")]
)
def test_a_misspelt_name_in_the_environment_is_pointed_at(name, nearest, monkeypatch):
    monkeypatch.setenv(name, "x")
    monkeypatch.setenv("CAPTION_NOSUCH", "x")
    assert sorted(unknown_settings()) == sorted(
        [
            f"{name} in the environment is not a setting; did you mean '{nearest}'?",
            "CAPTION_NOSUCH in the environment is not a setting",
        ]
    )


def test_a_value_that_is_only_a_variable_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("MINE", SECRET)
    write(
        "OPENAI_API_KEY=${MINE}\nXAI_API_KEY=a${MINE}\nGEMINI_API_KEY=$MINE\n"
        'ANTHROPIC_API_KEY="${MINE}"\nMODEL=${MINE}\nPROMPT=${MINE} in words\n'
    )
    settings = load_settings()
    keys = {name: settings.api_key(name).get_secret_value() for name in KEYS}
    assert keys["OPENAI_API_KEY"] == keys["ANTHROPIC_API_KEY"] == settings.model == SECRET
    assert (keys["XAI_API_KEY"], keys["GEMINI_API_KEY"]) == ("a${MINE}", "$MINE")
    assert settings.prompt == "${MINE} in words"


def test_a_variable_that_is_not_set_is_named_when_it_is_needed(monkeypatch):
    monkeypatch.delenv("MINE", raising=False)
    write("OPENAI_API_KEY=${MINE}\n")
    settings = load_settings()
    with pytest.raises(ConfigurationError, match=r"OPENAI_API_KEY in .* and MINE is not set"):
        settings.api_key("OPENAI_API_KEY")
    write("MODEL=${MINE}\n")
    with pytest.raises(ConfigurationError, match=r"MODEL in .* and MINE is not set"):
        load_settings()


def test_the_file_is_the_one_that_was_named(tmp_path, monkeypatch):
    write("MODEL=here\n")
    for name in ("flag", "environment"):
        (tmp_path / f"{name}.env").write_text(f"MODEL={name}\n")
    assert load_settings().model == "here"
    monkeypatch.setenv("CAPTION_CONFIG", str(tmp_path / "environment.env"))
    assert load_settings().model == "environment"
    settings = load_settings(tmp_path / "flag.env")
    assert (settings.model, settings.file.path) == ("flag", tmp_path / "flag.env")
    monkeypatch.setenv("CAPTION_CONFIG", str(tmp_path / "gone.env"))
    with pytest.raises(ConfigurationError, match=r"cannot read .*gone\.env: No such file"):
        load_settings()
    with pytest.raises(UsageError, match=r"--config: cannot read .*gone2\.env: No such file"):
        load_settings(tmp_path / "gone2.env")


@pytest.mark.parametrize(
    ("line", "photos_dir"),
    [
        ("PHOTOS_DIR=/a/b", "/a/b"),
        ("export PHOTOS_DIR=/a/b", "/a/b"),
        ("  PHOTOS_DIR = /a/b  # mine", "/a/b"),
        ("PHOTOS_DIR='/a b/ü'", "/a b/ü"),
        ('PHOTOS_DIR="/a b/ü"', "/a b/ü"),
        ("photos_dir=/a/b", "/a/b"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_config_env_as_people_write_it(line, photos_dir, newline, mark):
    write(mark + newline.join([line, "", "# a comment", "MODEL=m", ""]))
    settings = load_settings()
    assert (settings.photos_dir, settings.model) == (Path(photos_dir), "m")
    assert unknown_settings() == []


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("max_workers", 501, "--max-workers 501: input should be less than or equal to 500"),
        ("max_workers", -1, "--max-workers -1: "),
        ("decode_workers", 65, "--decode-workers 65: "),
        ("temperature", float("nan"), "--temperature nan: "),
        ("keep_clean", float("inf"), "--keep-clean inf: "),
        ("log_level", "LOUD", "--log-level LOUD: input should be 'DEBUG', 'INFO'"),
    ],
)
def test_a_bad_flag_is_a_usage_error_also_when_others_set_it_well(flag, value, told, monkeypatch):
    monkeypatch.setenv(variable_of(flag), "INFO" if flag == "log_level" else "1")
    with pytest.raises(UsageError) as error:
        load_settings(**{flag: value})
    assert str(error.value).startswith(told)
    assert error.value.exit_code == 64


BAD = {
    "MAX_WORKERS": "many",
    "DECODE_WORKERS": "-1",
    "TIMEOUT": "nan",
    "TEMPERATURE": "3",
    "MAX_TOKENS": "-1",
    "LOG_LEVEL": "loud",
}


@pytest.mark.parametrize(("name", "value"), [*BAD.items()])
def test_a_bad_value_of_the_environment_is_named_with_its_place(name, value, monkeypatch):
    write(f"{name}=1\n")
    monkeypatch.setenv(f"CAPTION_{name}", value)
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert str(error.value).startswith(f"CAPTION_{name} in the environment: input should be ")
    assert error.value.exit_code == 78


@pytest.mark.parametrize(("name", "value"), [*BAD.items()])
@pytest.mark.parametrize("environment", [None, ""])
def test_a_bad_value_of_the_file_is_named_with_its_place(
    name, value, environment, tmp_path, monkeypatch
):
    write(f"{name}={value}\n")
    if environment is not None:
        monkeypatch.setenv(f"CAPTION_{name}", environment)
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert str(error.value).startswith(f"{name} in {tmp_path / 'config.env'}: input should be ")
    assert error.value.exit_code == 78


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("FOLLOW_LINKS=maybe", "true or false"),
        ("MAX_COST=abc", "a number, such as 1.5"),
        ("MAX_WORKERS=2.5", "a whole number, such as 5"),
        ("LOG_LEVEL=loud", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
    ],
)
def test_of_a_bad_value_it_is_said_what_is_allowed(line, allowed):
    write(f"{line}\n")
    with pytest.raises(ConfigurationError, match=f": input should be {allowed}$"):
        load_settings()


def test_a_flag_covers_a_bad_value_elsewhere():
    write("MAX_WORKERS=many\n")
    assert load_settings(max_workers=2).max_workers == 2


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_config_env_that_is_no_utf8_is_named(encoding, tmp_path):
    write("PROMPT=Beschreibe das schöne Foto\n", encoding)
    with pytest.raises(ConfigurationError, match="is not UTF-8 text") as error:
        load_settings()
    assert str(tmp_path / "config.env") in str(error.value)


def test_config_env_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "config.env")
    with pytest.raises(
        ConfigurationError, match=r"cannot read .*config\.env: it is no regular file"
    ):
        load_settings()
    with pytest.raises(UsageError, match=r"--config: cannot read .*config\.env: it is no regular"):
        load_settings(Path("config.env"))


def test_no_config_env_is_said_by_the_null_device(tmp_path):
    Path("config.env").write_text("nonsense")
    assert load_settings(Path(os.devnull)).file.lines == {}


def test_config_env_that_is_a_directory_is_named(tmp_path):
    Path("config.env").mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot read .*config\.env: Is a directory"):
        load_settings()


@pytest.mark.parametrize(
    ("line", "nearest"),
    [
        ("OPENAI_KEY=x", "OPENAI_API_KEY"),
        ("PHOTO_DIR=x", "PHOTOS_DIR"),
        ("BACKENDS=x", "BACKEND"),
        ("CAPTIONS_JSON=x", "CAPTIONS_JSONL"),
        ("ANTROPIC_API_KEY=x", "ANTHROPIC_API_KEY"),
        ("max_worker=x", "MAX_WORKERS"),
    ],
)
def test_a_misspelt_name_is_pointed_at_with_the_nearest(line, nearest, tmp_path):
    write(f"MODEL=m\n{line}\n")
    (told,) = unknown_settings()
    assert told.startswith(f"{tmp_path / 'config.env'}: {line[:-2]} is not a setting")
    assert told.endswith(f"did you mean '{nearest}'?")


def test_a_name_far_from_all_gets_no_advice_and_a_backends_own_key_is_known():
    write("ZQXJ=1\nSERVICE_API_KEY=1\n")
    assert len(unknown_settings()) == 2
    (told,) = unknown_settings(also_valid=["SERVICE_API_KEY"])
    assert told.endswith("does nothing")


def test_a_line_without_equals_sign_is_pointed_at_and_not_repeated():
    write(f"BACKEND\n{SECRET}\n")
    told = unknown_settings()
    assert len(told) == 2
    assert all("a line without '=' does nothing" in sentence for sentence in told)
    assert SECRET not in str(told)


def test_a_key_is_found_wherever_it_may_stand(monkeypatch):
    write("OPENAI_API_KEY=file\nSERVICE_API_KEY=file\nOTHER_API_KEY=file\n")
    monkeypatch.setenv("SERVICE_API_KEY", "environment")
    settings = load_settings()
    keys = [
        settings.api_key(name).get_secret_value()
        for name in (
            "OPENAI_API_KEY",
            "SERVICE_API_KEY",
            "OTHER_API_KEY",
            "NONE_KEY",
            None,
            "MODEL",
        )
    ]
    assert keys == ["file", "environment", "file", "", "", ""]


def test_a_key_has_no_white_space_around_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET}\n")
    monkeypatch.setenv("SERVICE_API_KEY", f" {SECRET}\r\n")
    settings = load_settings()
    for name in ("OPENAI_API_KEY", "SERVICE_API_KEY"):
        assert settings.api_key(name).get_secret_value() == SECRET


def test_no_key_shows_in_settings_or_errors(monkeypatch):
    write(f"OPENAI_API_KEY={SECRET}\n")
    assert SECRET not in repr(load_settings())
    write(f"OPENAI_API_KEY={SECRET}\nMAX_WORKERS={SECRET}\n")
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert SECRET not in str(error.value)


NAMES = st.sampled_from(sorted(OWN))
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NOISE = st.text(st.sampled_from("=#'\"\\ \t\n\r$\\{}A\ufeffé"), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(lines=st.lists(st.tuples(NAMES, VALUES), max_size=5), noise=NOISE)
def test_no_config_env_brings_anything_but_settings_or_a_sentence(lines, noise):
    write("\n".join([*(f"{name}={value}" for name, value in lines), noise]))
    try:
        settings = load_settings()
    except ConfigurationError as error:
        assert "config.env" in str(error)
        return
    assert isinstance(settings, Settings)
    assert all("config.env" in sentence for sentence in unknown_settings())


@pytest.mark.parametrize("command", ["status", "run", "work", "doctor"])
@pytest.mark.parametrize("given_by", ["flag", "environment"])
@pytest.mark.parametrize("password", ["SEC/RETPART", "SECR@ETPART", "SEC?RETPART", "SEC[RETPART"])
def test_nothing_of_a_password_that_is_not_encoded_is_shown(command, given_by, password, tmp_path):
    (tmp_path / "photos").mkdir()
    url = f"postgresql://club:{password}@127.0.0.1:1/postgres"
    flags, env = (
        ([f"--library={url}"], {}) if given_by == "flag" else ([], {"CAPTION_LIBRARY": url})
    )
    done = caption(command, "--photos-dir=photos", *flags, cwd=tmp_path, **env)
    assert done.returncode == 78, done.stderr
    assert "password must be percent-encoded" in done.stderr
    assert "PGPASSFILE" in done.stderr
    written = "".join(p.read_text() for p in tmp_path.iterdir() if p.is_file())
    for part in re.split(r"[^A-Z]", password):
        assert part not in done.stdout + done.stderr + written


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("postgresql://club:100%@127.0.0.1:1/postgres", "percent-encoded"),
        ("postgresql://club:a b@127.0.0.1:1/postgres", "percent-encoded"),
        ("postgresql://club@127.0.0.1:1/postgres?password=100%", "must be written %25"),
        ("postgresql://club@127.0.0.1:abc/postgres", "the number of its port"),
        ("postgresql://club:x@[::1/postgres", "the number of its port"),
        ("postgresql://club:SECRETPART", "the number of its port"),
    ],
)
def test_an_address_with_a_fault_is_refused_and_not_quoted(url, word, monkeypatch):
    with pytest.raises(ConfigurationError, match=word) as told:
        load_settings(library=url)
    assert not re.search("100|a b|abc|SECRET", str(told.value))
    monkeypatch.setenv("CAPTION_LIBRARY", url)
    with pytest.raises(ConfigurationError, match=word):
        load_settings()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/db",
        "postgresql://anna@host:5432/db?sslmode=require",
        "postgresql://anna:p%40w%2Fd@[::1]:5432/db",
        "postgresql://anna:x:y@host1:1,host2,[::2]:3/db?application_name=a",
        "postgresql://anna@host/db?application_name=a@b",
        "postgresql:///db?host=/tmp",
        "postgresql://%2Frun%2Fpostgresql/db",
    ],
)
def test_an_address_that_libpq_takes_is_taken(url):
    assert load_settings(library=url).served_library(url).url == url


def test_a_library_that_the_environment_names_without_the_prefix_is_pointed_at(monkeypatch):
    monkeypatch.setenv("LIBRARY", "postgresql://club:SECRETPART@127.0.0.1/postgres")
    (told,) = unknown_settings()
    assert told.startswith("LIBRARY in the environment: not read")
    assert "say CAPTION_LIBRARY" in told
    assert "SECRETPART" not in told
    monkeypatch.setenv("LIBRARY", "/usr/lib")
    assert unknown_settings() == []
