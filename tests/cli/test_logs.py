"""The log: JSON lines, for its owner only, without keys, and never a reason to stop."""

import json
import logging
import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from picture_captioner.cli.logs import configure_logging
from picture_captioner.errors import ConfigurationError
from picture_captioner.foreign_text import keep_secret

ROOT = Path(__file__).parent.parent.parent
SECRET = "sk-test-4711"


@pytest.fixture
def log(tmp_path):
    """Configure the log and read its lines back; logging is as before afterwards."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    path = tmp_path / "caption.log"

    def lines(level="DEBUG", secrets=(SECRET,)):
        for secret in secrets:
            keep_secret(secret)
        configure_logging(path, level)
        return lambda: [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]

    lines.path = path
    yield lines
    for handler in set(root.handlers) - set(before[0]):
        root.removeHandler(handler)
        handler.close()
    root.handlers[:], root.level = before
    logging.captureWarnings(False)


@pytest.mark.parametrize(
    "begun", [b'{"rel_path":"a.jpg"}\n', b"\xff\xd8\xff\xe0", b"SQLite format 3"]
)
def test_no_other_file_is_written_into(log, begun):
    log.path.write_bytes(begun)
    with pytest.raises(ConfigurationError, match="is no log of this program"):
        log()
    assert log.path.read_bytes() == begun


def test_each_event_is_one_json_line_with_its_fields(log):
    lines = log()
    logging.getLogger("caption.photo").warning(
        "photo\nfailed", extra={"event": "photo_failed", "rel_path": "a\u2028b.jpg", "ms": 7}
    )
    (line,) = lines()
    assert line.pop("time")
    assert line == {
        "level": "WARNING",
        "logger": "caption.photo",
        "message": "photo\nfailed",
        "event": "photo_failed",
        "rel_path": "a\u2028b.jpg",
        "ms": 7,
    }


def test_only_the_owner_may_read_it_whatever_the_umask(log):
    before = os.umask(0)
    try:
        log()
    finally:
        os.umask(before)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_lines_are_appended_and_the_level_holds(log):
    log.path.write_text('{"message":"old"}\n', encoding="utf-8")
    lines = log("WARNING")
    logging.getLogger("caption").info("too quiet")
    logging.getLogger("caption").warning("loud")
    assert [line["message"] for line in lines()] == ["old", "loud"]


def fail_with(secret):
    raise ValueError(f"bad header: Bearer {secret}")


@pytest.mark.parametrize(
    "secret", [SECRET, 'quote"back\\slash', "schlüssel-家", "a/b+c=", "line\nbreak"]
)
def test_a_key_is_redacted_wherever_it_stands(log, secret):
    lines = log(secrets=["", secret, "  "])
    logger = logging.getLogger("some.library")
    logger.debug("headers: %s", secret)
    logger.info("x", extra={"headers": {"Authorization": [f"Bearer {secret}"]}})
    logger.info("x", extra={secret: "as a name"})
    try:
        fail_with(secret)
    except ValueError:
        logger.exception("failed", stack_info=True)
    assert len(lines()) == 4
    for line in lines():
        assert "[key]" in json.dumps(line)
        assert secret not in str(line)
    raw = log.path.read_text("utf-8")
    assert secret not in raw
    assert json.dumps(secret)[1:-1] not in raw


def test_a_key_with_a_newline_at_its_end_is_redacted_without_it(log):
    lines = log(secrets=[f"{SECRET}\n"])
    logging.getLogger("x").error("Illegal header value %r", f"Bearer {SECRET}\n")
    assert SECRET not in json.dumps(lines())


def test_odd_names_and_odd_objects_do_not_break_it(log):
    lines = log()
    logging.getLogger("x").warning(
        "caf\udce9.jpg", extra={"rel_path": "caf\udce9.jpg", "object": object(), "raw": b"\xff"}
    )
    (line,) = lines()
    assert line["rel_path"] == line["message"] == "caf\udce9.jpg"


def test_warnings_of_libraries_go_to_the_log(log):
    lines = log()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("this will change", stacklevel=1)
    assert "this will change" in lines()[-1]["message"]


@pytest.mark.parametrize("place", ["", "no/such/folder/caption.log"])
def test_a_log_that_cannot_be_opened_is_a_configuration_error(tmp_path, place):
    with pytest.raises(ConfigurationError, match=r"cannot write the log .*LOG_FILE") as error:
        configure_logging(tmp_path / place, "INFO")
    assert error.value.exit_code == 78


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_costs_log_lines_and_not_the_run():
    code = (
        "import logging; from pathlib import Path\n"
        "from picture_captioner.cli.logs import configure_logging\n"
        "configure_logging(Path('/dev/full'), 'INFO')\n"
        "logging.getLogger('x').error('lost'); print('went on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_what_is_logged_before_there_is_a_log_is_escaped():
    code = (
        "import logging; from picture_captioner.cli.logs import escape_what_is_not_logged\n"
        "escape_what_is_not_logged()\n"
        "logging.getLogger('x').info('no'); logging.getLogger('x').warning('a\\x1b[2Jb')\n"
        "try: raise ValueError('c\\x1b]0;d\\x07')\n"
        "except ValueError: logging.getLogger('x').exception('failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert done.stderr.startswith("a\\x1b[2Jb\nfailed\nTraceback")
    assert done.stderr.endswith("ValueError: c\\x1b]0;d\\x07\n")
