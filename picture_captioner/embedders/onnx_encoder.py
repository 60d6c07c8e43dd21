"""One ONNX graph that turns a batch into vectors, on the best device, with a limit on its time."""

from __future__ import annotations

import logging
import time
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

VECTOR_OUTPUTS = ("image_embeds", "text_embeds", "pooler_output", "sentence_embedding", "embedding")
"""Outputs that hold the vector where a graph has several, the best first."""

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


class OnnxEncoder:
    """A loaded graph. `inputs` are the names that it wants to be fed."""

    def __init__(self, path: Path, device: str, seconds_each: float = SECONDS_EACH) -> None:
        """Load the graph.

        Raises:
            UsageError: there is no such device in this ONNX Runtime.
            ConfigurationError: the file is no graph that ONNX Runtime can load.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL_ONLY
        self._name, self._seconds_each = path.name, seconds_each
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=pick_providers(device)
            )
        except RUNTIME_ERRORS as error:
            raise ConfigurationError(
                f"ONNX Runtime cannot load {path.name} ({type(error).__name__}): fetch it again, "
                "with the .onnx_data file beside it where there is one"
            ) from error
        self.inputs = [node.name for node in self._session.get_inputs()]
        self._output = self._pick_output()
        log.debug("%s runs on %s", path.name, self._session.get_providers()[0])

    @property
    def fixed_batch(self) -> int | None:
        """How many rows the graph takes at a time, if it does not leave that open."""
        rows = self._session.get_inputs()[0].shape[0]
        return rows if isinstance(rows, int) else None

    def __call__(self, feed: Arrays) -> NDArray[np.float32]:
        """Vectors of a batch, shape (n, dim), not yet of unit length.

        Raises:
            BackendUnavailableError: the graph failed, or took over `seconds_each` for each row.
        """
        rows = len(next(iter(feed.values())))
        begun = time.perf_counter()
        vectors = self._run({name: self._fitted(name, feed[name]) for name in self.inputs}, rows)
        log.debug("%s: %d in %.0f ms", self._name, rows, (time.perf_counter() - begun) * 1000)
        return vectors[:rows]

    def _fitted(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """Cast to what the graph takes, and repeat the last row up to a fixed batch."""
        (node,) = (node for node in self._session.get_inputs() if node.name == name)
        if node.type == "tensor(float16)":
            array = array.astype(np.float16)
        missing = (self.fixed_batch or len(array)) - len(array)
        return np.concatenate([array, *[array[-1:]] * missing]) if missing > 0 else array

    def _run(self, feed: Arrays, rows: int) -> NDArray[np.float32]:
        options = onnxruntime.RunOptions()
        options.log_severity_level = FATAL_ONLY
        outcome: Future[NDArray[np.float32]] = Future()

        def work() -> None:
            try:
                (vectors,) = self._session.run([self._output], dict(feed), options)
                outcome.set_result(vectors)
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
                f"{self._name} took over {self._seconds_each:g} s a photo and was stopped: "
                "choose the device cpu, or a smaller model"
            ) from error
        except RUNTIME_ERRORS as error:
            raise BackendUnavailableError(
                f"{self._name} failed ({type(error).__name__}): it may not fit its "
                "preprocessor_config.json, or its device ran out of memory"
            ) from error

    def _wait_for_end(self, outcome: Future[NDArray[np.float32]]) -> None:
        try:
            outcome.exception(timeout=GRACE)
        except TimeoutError:
            log.warning("%s does not react; its thread is left behind", self._name)

    def _pick_output(self) -> str:
        outputs: dict[str, list[Any]] = {
            node.name: node.shape for node in self._session.get_outputs()
        }
        for name in VECTOR_OUTPUTS:
            if name in outputs:
                return name
        flat = [name for name, shape in outputs.items() if len(shape) == 2]
        if len(flat) != 1:
            raise ConfigurationError(
                f"{self._name} has no output that is one vector for each photo (it has "
                f"{', '.join(outputs)}): export it with pooling"
            )
        return flat[0]


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
