"""One ONNX graph on the best device, with a limit on its time.

Used by whatever runs small models without torch: embedders, faces, text in the picture.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as native

from picture_captioner.errors import BackendUnavailableError, ConfigurationError, UsageError

log = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]

SECONDS_EACH = 30.0
"""A photo takes a tenth of a second on a slow CPU; after this the device hangs."""
GRACE = 5.0
"""Seconds for a graph to notice that it was asked to end: it looks between two nodes."""

PROVIDERS = {"cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}
"""What the settings call a device, and what ONNX Runtime calls it; the best first."""
CPU = "CPUExecutionProvider"

FATAL_ONLY = 4
"""A log level: failures come as exceptions, and are not also written to stderr."""

RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    *(
        kind
        for kind in vars(native).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)
"""ONNX Runtime's own exceptions have no common base but `Exception`."""


class OnnxGraph:
    """A loaded graph.

    `inputs` and `outputs` are its names and shapes; a free dimension is a text.

    Args:
        path: the .onnx file.
        device: cpu, auto, cuda or mps.
        seconds_each: how long one row of a batch may take.
        threads: of the CPU; 0 leaves it to ONNX Runtime.
        data: the graph, if it is not in the file as ONNX Runtime wants it.
    """

    def __init__(
        self,
        path: Path,
        device: str,
        seconds_each: float = SECONDS_EACH,
        threads: int = 0,
        data: bytes | None = None,
    ) -> None:
        """Load the graph.

        Raises:
            UsageError: there is no such device in this ONNX Runtime.
            ConfigurationError: the file is no graph that ONNX Runtime can load.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL_ONLY
        options.intra_op_num_threads = threads
        # Threads that wait for work by spinning took half of the processor time from the decoders.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.name, self._seconds_each = path.name, seconds_each
        try:
            self._session = onnxruntime.InferenceSession(
                data or str(path), options, providers=pick_providers(device)
            )
        except RUNTIME_ERRORS as error:
            raise ConfigurationError(
                f"ONNX Runtime cannot load {path.name} ({type(error).__name__}): fetch it again, "
                "with the .onnx_data file beside it where there is one"
            ) from error
        self.inputs = {node.name: node.shape for node in self._session.get_inputs()}
        self.outputs = {node.name: node.shape for node in self._session.get_outputs()}
        self._halves = {
            node.name for node in self._session.get_inputs() if node.type == "tensor(float16)"
        }
        log.debug("%s runs on %s", path.name, self._session.get_providers()[0])

    def run(self, feed: Arrays, wanted: list[str], rows: int = 1) -> list[NDArray[Any]]:
        """The outputs called `wanted` for a batch of `rows`.

        Raises:
            BackendUnavailableError: the graph failed, or took over `seconds_each` for each row.
        """
        halved = {k: v.astype(np.float16) if k in self._halves else v for k, v in feed.items()}
        options = onnxruntime.RunOptions()
        options.log_severity_level = FATAL_ONLY
        outcome: Future[list[NDArray[Any]]] = Future()

        def work() -> None:
            try:
                outcome.set_result(self._session.run(wanted, halved, options))
            except BaseException as error:  # noqa: BLE001 - it is raised again by the caller
                outcome.set_exception(error)

        # A daemon: a driver that never returns must not keep the process from ending.
        Thread(target=work, name="onnx", daemon=True).start()
        try:
            return outcome.result(timeout=self._seconds_each * rows)
        except TimeoutError as error:
            options.terminate = True
            self._wait_for_end(outcome)
            raise BackendUnavailableError(
                f"{self.name} took over {self._seconds_each:g} s a photo and was stopped: "
                "choose the device cpu, or a smaller model"
            ) from error
        except RUNTIME_ERRORS as error:
            raise BackendUnavailableError(
                f"{self.name} failed ({type(error).__name__}): it may not fit its "
                "preprocessor_config.json, or its device ran out of memory"
            ) from error

    def _wait_for_end(self, outcome: Future[list[NDArray[Any]]]) -> None:
        try:
            outcome.exception(timeout=GRACE)
        except TimeoutError:
            log.warning("%s does not react; its thread is left behind", self.name)


def pick_providers(device: str) -> list[str]:
    """Execution providers for a device; `auto` takes the best that is there. The CPU is a fallback.

    Raises:
        UsageError: this ONNX Runtime has no such device.
    """
    there = onnxruntime.get_available_providers()
    kind = device.partition(":")[0]
    if kind == "cpu":
        return [CPU]
    if kind == "auto":
        return [*(name for name in PROVIDERS.values() if name in there), CPU]
    if PROVIDERS.get(kind) not in there:
        raise UsageError(
            f"this ONNX Runtime has no device {device!r} (it has {', '.join(there)}); for CUDA "
            "install onnxruntime-gpu in place of onnxruntime"
        )
    return [PROVIDERS[kind], CPU]
