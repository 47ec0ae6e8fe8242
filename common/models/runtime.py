"""onnxruntime behind one small object: a graph in, arrays through it.

The session is made from a protobuf rebuilt out of a checked graph, on the processor, with as many
threads as the caller says and no more.

Guarantee: onnxruntime tells its maker nothing. From 1.29 on it would send names, hashes and times
of networks to Microsoft, and keep a number of this machine on the disk, unless told otherwise
before it is first imported.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.models.onnx_graph import Graph

BATCH = 16  # pictures at a time: past that nothing gets faster, only larger
SILENT = {"ORT_DISABLE_TELEMETRY": "1"}
_ERRORS_ONLY = 3  # onnxruntime's log level


class Runtime:
    """Runs ``graph`` on (B, *graph.shape) float32. The session is made on first use."""

    def __init__(self, graph: Graph, *, single: bool, threads: int) -> None:
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self._graph, self._single, self._threads = graph, single, threads
        self._session: Any = None

    def run(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, *shape) -> (B, ...), in batches; B is at least 1."""
        step = 1 if self._single else BATCH
        session = self._open()
        parts = [
            session.run(None, {self._graph.input: values[start : start + step]})[0]
            for start in range(0, len(values), step)
        ]
        return np.concatenate(parts)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}

    def _open(self) -> Any:
        if self._session is not None:
            return self._session
        os.environ.update(SILENT)
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # if somebody imported it before
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = _ERRORS_ONLY
        protobuf = self._graph.protobuf(1 if self._single else "batch")
        try:
            self._session = onnxruntime.InferenceSession(
                protobuf, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no base class of their own
            raise ModelError(f"onnxruntime refuses the network: {error}") from error
        return self._session
