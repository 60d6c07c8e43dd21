"""Decoders and models on the nodes of a Ray cluster; all else stays in this process, the driver.

An actor is no more than an arm that reaches to a node. The decoders there are the worker processes
of pipeline/decoding, the model is the child of workers/, both confined as they are at home: what
parses foreign bytes has no socket, and talks to its actor in MessagePack. Ray moves bytes, places
actors on GPUs and says when one is gone. What happens then is decided where it always is: by the
supervisor for a photo of which the model's process dies, here and by the work queue for one of
which a node's decoders die. Ray itself retries nothing and restarts nothing, and it holds no more
than what the run's own buffer, threads and batches have under way.

The journal, the selection, the requests to a provider and every key are the driver's.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from picture_captioner.backends.base import CaptionBackend
from picture_captioner.backends.hosted import HostedBackend
from picture_captioner.engines.on_node import PLACE_SECONDS, NodeModel
from picture_captioner.engines.ray_decoders import DecodersOnNodes, last_line
from picture_captioner.engines.ray_models import HostedOnNodes, ProcessOnNode
from picture_captioner.errors import BackendUnavailableError, ConfigurationError, UsageError
from picture_captioner.extras import how_to_install
from picture_captioner.pipeline.decoding.decoder import default_decoders
from picture_captioner.workers.starting import child_environment

_log = logging.getLogger("caption.ray")

CONNECT_SECONDS = 5.0
HEARTBEAT_SECONDS = 1.0
_OBJECT_STORE_BYTES = 256 << 20
"""Of a Ray of our own: what is under way between two actors, a few photos."""

_FOLDERS = Path("/tmp")  # noqa: S108 - mkdtemp: ours alone; its sockets' names must be short
_FOLDER = "caption-ray-{}-"

_SWITCHED_OFF = {
    "RAY_USAGE_STATS_ENABLED": "0",  # it would tell its makers of every run
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` it would send the folder one is in
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # and with it a warning about the next release
}

_TOKEN = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
"""A Ray of our own listens on all of the machine's addresses, and runs the code of whoever asks: so
it asks for a token, which this process makes up for this run."""


class RayEngine:
    """A Ray of our own, or a part in somebody's cluster, for one run. Thread-safe once started.

    Args:
        address: of a cluster that this machine belongs to; None: a Ray of our own, on this machine.
        copies: of the model; None: one for each GPU, or where there is none for each node.
        photos_dir: where the nodes must see the photos.
        notice: takes a line for the person.
    """

    def __init__(
        self,
        address: str | None,
        copies: int | None,
        photos_dir: Path,
        notice: Callable[[str], None],
    ) -> None:
        """Nothing is started yet.

        Raises:
            ConfigurationError: Ray is not installed.
            UsageError: an address that is not supported.
        """
        self._address, self._wanted = address, copies
        self._folder: Path | None = None
        if address is not None and "://" in address:
            raise UsageError(
                f"--ray-address {address}: Ray's client protocol is not supported. Let this "
                "machine join the cluster (ray start --address=HOST:6379), then give HOST:6379 or "
                "auto"
            )
        os.environ.update(_SWITCHED_OFF)
        if address is None:
            os.environ.update(zip(_TOKEN, ("token", secrets.token_hex(32)), strict=True))
        try:
            import ray  # which reads these variables once
        except ImportError as error:
            raise ConfigurationError(
                f"--engine ray needs the package {error.name}: run {how_to_install('ray')}"
            ) from error
        self._ray: Any = ray
        # It would print what its agents report, to stdout, whatever `log_to_driver` says.
        self._ray._private.worker.print_to_stdstream = _note
        self.decoders = DecodersOnNodes(ray, photos_dir.absolute(), notice)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def hosting(self, backend: CaptionBackend) -> CaptionBackend:
        """The backend with its model on the nodes, if it has one; a provider is asked from here."""
        return HostedOnNodes(backend, self) if isinstance(backend, HostedBackend) else backend

    def start(self) -> None:
        """Start Ray, or join the cluster, unless that is done. By the main thread.

        Raises:
            BackendUnavailableError: there is no cluster, or Ray does not come up.
        """
        if self._ray.is_initialized():
            return
        try:
            with _as_it_was(signal.SIGTERM):
                if self._address is None:
                    with _environment_for_ray():
                        self._start_own()
                else:
                    _ensure_listening(self._address)
                    self._ray.init(self._address, log_to_driver=False, configure_logging=False)
        except (OSError, RuntimeError, ValueError, AssertionError) as error:
            self.close()
            raise BackendUnavailableError(f"{self._where()}: {last_line(error)}") from error

    def _where(self) -> str:
        if self._address is None:
            return "Ray does not start on this machine"
        return (
            f"no Ray cluster at {self._address} takes this machine in (it must be one of its "
            "nodes: ray start --address=HOST:6379)"
        )

    def _start_own(self) -> None:
        _remove_folders_of_the_dead()
        self._folder = Path(tempfile.mkdtemp(prefix=_FOLDER.format(os.getpid()), dir=_FOLDERS))
        self._ray.init(
            "local",
            num_cpus=default_decoders(),
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=str(self._folder / "r"),  # which Ray opens to everybody
            _node_ip_address="127.0.0.1",
        )

    def close(self) -> None:
        """Leave the cluster; a Ray of our own ends, with its logs."""
        self._ray.shutdown()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def share_of_gpu(self) -> tuple[float, int]:
        """How much of a GPU each copy of the model gets, and how many copies there are."""
        self.start()
        gpus = int(self._ray.cluster_resources().get("GPU", 0))
        number = self._wanted or gpus or len(self._alive())
        return (1 / math.ceil(number / gpus) if gpus else 0.0), number

    def place_decoders(self, within: Path | None) -> int:
        """As `DecodersOnNodes.place`."""
        self.start()
        return self.decoders.place(self._alive(), within)

    def _alive(self) -> list[dict[str, Any]]:
        return [facts for facts in self._ray.nodes() if facts["Alive"]]

    def start_model(self, share: float, copy: int) -> ProcessOnNode:
        """A model's process where that much of a GPU is free; without GPUs, on the nodes in turn.

        Raises:
            OSError: no node has room.
        """
        deadline = time.monotonic() + PLACE_SECONDS
        while True:
            actor = self._model_actor(share, copy)
            left = max(deadline - time.monotonic(), 1.0)
            try:
                pid = self._ray.get(actor.pid.remote(), timeout=left)
                return ProcessOnNode(self._ray, actor, pid)
            except self._ray.exceptions.RayError as error:
                self._ray.kill(actor)
                # A node that is gone is taken for one that is there for 15 s.
                if time.monotonic() > deadline - HEARTBEAT_SECONDS:
                    raise OSError(
                        f"no node of the Ray cluster takes it: {last_line(error)}"
                    ) from error
                time.sleep(HEARTBEAT_SECONDS)

    def _model_actor(self, share: float, copy: int) -> Any:
        where: Any = "SPREAD"
        if not share:
            nodes = self._alive()
            node = nodes[copy % len(nodes)]["NodeID"]
            strategies = self._ray.util.scheduling_strategies
            where = strategies.NodeAffinitySchedulingStrategy(node_id=node, soft=True)
        options = {"num_cpus": 0, "num_gpus": share, "max_concurrency": 8}
        remote = self._ray.remote(NodeModel)
        return remote.options(**options, scheduling_strategy=where).remote()


def _note(report: dict[str, Any], **_: object) -> None:
    _log.info("Ray: %s", " ".join(report["lines"]))


def _ensure_listening(address: str) -> None:
    """Raise `OSError` where nobody listens: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()


@contextmanager
def _as_it_was(number: signal.Signals) -> Iterator[None]:
    """Ray sets a handler for SIGTERM; what a signal means is decided elsewhere."""
    before = signal.getsignal(number)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def _environment_for_ray() -> Iterator[None]:
    """Let Ray's processes start without the keys in the environment."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(child_environment(before))
    os.environ.update({name: before[name] for name in (*_SWITCHED_OFF, *_TOKEN)})
    try:
        yield
    finally:
        os.environ.update(before)


def _remove_folders_of_the_dead() -> None:
    """Those of runs that were killed: they hold Ray's logs, and no photo."""
    for folder in _FOLDERS.glob(_FOLDER.format("*") + "*"):
        pid = folder.name.split("-")[2]
        if pid.isdigit() and not _runs(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
