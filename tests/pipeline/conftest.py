"""Parts that the tests of the pipeline share: photos, records, and threads that must end."""

import threading

import pytest

from picture_captioner.errors import Status
from picture_captioner.image_loader.images import LoadedImage
from picture_captioner.journal.record import Entry
from picture_captioner.pipeline.selecting.selection import Identity
from picture_captioner.pipeline.selecting.walk import Photo

SECONDS_TO_A_DEADLOCK = 20.0


@pytest.fixture
def in_threads():
    """Run functions at the same time; fails if one raises or does not come to its end."""

    def run(*functions):
        errors = []

        def guarded(function):
            try:
                function()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(f,), daemon=True) for f in functions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS_TO_A_DEADLOCK)
        stuck = sum(thread.is_alive() for thread in threads)
        assert not errors, errors
        assert not stuck, f"{stuck} of {len(threads)} threads wait for ever"

    return run


@pytest.fixture(scope="session")
def identity():
    return Identity(backend="service", model="s-1", prompt_sha256="0" * 12, placeholder=False)


@pytest.fixture(scope="session")
def photo():
    return Photo("2023/a.jpg", size=100, mtime_ns=7)


@pytest.fixture(scope="session")
def loaded():
    return LoadedImage(None, "c" * 64, size=100, mtime_ns=7, width=4, height=3, format="JPEG")


@pytest.fixture(scope="session")
def make_entry(identity):
    """An index entry that this run's own backend could have made, but for what is given."""

    def make(rel_path="2023/a.jpg", **given):
        known = {
            "caption": None,
            "status": Status.SUCCESS,
            "backend": identity.backend,
            "model": identity.model,
            "prompt_sha256": identity.prompt_sha256,
            "content_sha256": "c" * 64,
            "size": 100,
            "mtime_ns": 7,
        }
        return Entry(rel_path, **(known | given))

    return make
