"""The ONNX operators this project understands, each as one torch expression.

The subset is what face embedders are made of. Everything else is refused by name: an operator
that is silently approximated would give features that are almost right. Meanings follow the
operator reference of ONNX (opsets 7 to 23).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from common.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: reads the tensors ``inputs``, writes ``outputs[0]``."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any] = field(default_factory=dict)


Values = list[Any]  # tensors, or None for an optional input left out


@dataclass(frozen=True, slots=True)
class Operator:
    """How to compute an operation, and which attributes it may carry.

    ``fixed`` attributes may be present with one of the values given, and mean nothing then.
    """

    apply: Callable[[dict[str, Any], Values], Tensor]
    attributes: frozenset[str] = frozenset()
    fixed: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    inputs: int = 1  # at least so many


def check(node: Node, where: str) -> None:
    """Raises ``OperatorError`` unless ``node`` is within the subset."""
    operator = OPERATORS.get(node.op)
    if operator is None:
        raise OperatorError(f"{where}: operator {node.op} of node {node.name!r} is not supported")
    for key, value in node.attributes.items():
        if key in operator.fixed and value in operator.fixed[key]:
            continue
        if key not in operator.attributes:
            raise OperatorError(
                f"{where}: attribute {key} of operator {node.op}, node {node.name!r}, "
                "is not supported with this value"
            )
    if len([name for name in node.outputs if name]) > 1 and node.op != "Dropout":
        raise OperatorError(f"{where}: node {node.name!r} ({node.op}) has more than one output")
    if node.op == "Dropout" and len(node.inputs) > 2:
        raise OperatorError(f"{where}: node {node.name!r} (Dropout) may be in training mode")


def apply(node: Node, values: Values) -> Tensor:
    """The value of ``node``'s output given its inputs."""
    return OPERATORS[node.op].apply(node.attributes, values)


def _pad2d(x: Tensor, pads: list[int], value: float = 0.0) -> tuple[Tensor, tuple[int, int]]:
    """Pads unevenly where needed; returns what an even padding argument still has to do."""
    top, left, bottom, right = pads
    if min(pads) < 0:
        raise ValueError("negative padding")
    if top == bottom and left == right:
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def _conv(a: dict[str, Any], v: Values) -> Tensor:
    x, padding = _pad2d(v[0], a.get("pads", [0, 0, 0, 0]))
    bias = v[2] if len(v) > 2 else None
    strides, dilations = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    if min(*strides, *dilations) < 1:
        raise ValueError("strides and dilations must be positive")
    return F.conv2d(x, v[1], bias, strides, padding, dilations, a.get("group", 1))


def _gemm(a: dict[str, Any], v: Values) -> Tensor:
    left = v[0].T if a.get("transA", 0) else v[0]
    right = v[1].T if a.get("transB", 0) else v[1]
    product: Tensor = a.get("alpha", 1.0) * (left @ right)
    return product + a.get("beta", 1.0) * v[2] if len(v) > 2 else product


def _batch_norm(a: dict[str, Any], v: Values) -> Tensor:
    x, scale, bias, mean, variance = v
    return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, a.get("epsilon", 1e-5))


def _clip(a: dict[str, Any], v: Values) -> Tensor:
    low = v[1] if len(v) > 1 else a.get("min")
    high = v[2] if len(v) > 2 else a.get("max")
    low, high = (None if bound is None else float(bound) for bound in (low, high))
    x: Tensor = v[0]
    if low is not None and high is not None and low <= high and x.is_floating_point():
        return F.hardtanh(x, low, high)  # as clamp, in a third of its passes backwards
    return x if low is None and high is None else x.clamp(low, high)


def _prelu(a: dict[str, Any], v: Values) -> Tensor:
    x, slope = v
    return torch.where(x >= 0, x, slope * x)


def _max_pool(a: dict[str, Any], v: Values) -> Tensor:
    x, padding = _pad2d(v[0], a.get("pads", [0, 0, 0, 0]), -torch.inf)
    kernel, strides = a["kernel_shape"], a.get("strides", [1, 1])
    return F.max_pool2d(x, kernel, strides, padding, a.get("dilations", 1))


def _average_pool(a: dict[str, Any], v: Values) -> Tensor:
    top, left, bottom, right = a.get("pads", [0, 0, 0, 0])
    if (top, left) != (bottom, right):
        raise ValueError("uneven padding of AveragePool")
    padded = bool(a.get("count_include_pad", 0))
    kernel, strides = a["kernel_shape"], a.get("strides", [1, 1])
    return F.avg_pool2d(v[0], kernel, strides, (top, left), count_include_pad=padded)


def _flatten(a: dict[str, Any], v: Values) -> Tensor:
    x: Tensor = v[0]
    axis = a.get("axis", 1) % (x.dim() + 1)
    if axis == 1:
        return x.flatten(1)
    return x.reshape(int(torch.Size(x.shape[:axis]).numel()), -1)


def _reshape(a: dict[str, Any], v: Values) -> Tensor:
    x, shape = v[0], [int(size) for size in v[1]]
    if not a.get("allowzero", 0):
        shape = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    return x.reshape(shape)  # type: ignore[no-any-return]


def _axes(a: dict[str, Any], v: Values) -> list[int] | None:
    given = v[1] if len(v) > 1 else a.get("axes")
    return None if given is None else [int(axis) for axis in given]


def _squeeze(a: dict[str, Any], v: Values) -> Tensor:
    x: Tensor = v[0]
    axes = _axes(a, v)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueeze(a: dict[str, Any], v: Values) -> Tensor:
    x, axes = v[0], _axes(a, v) or []
    for axis in sorted(axis % (x.dim() + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x  # type: ignore[no-any-return]


def _reduce_mean(a: dict[str, Any], v: Values) -> Tensor:
    axes = _axes(a, v) or list(range(v[0].dim()))
    return v[0].mean(axes, keepdim=bool(a.get("keepdims", 1)))  # type: ignore[no-any-return]


def _reduce_l2(a: dict[str, Any], v: Values) -> Tensor:
    axes = _axes(a, v) or list(range(v[0].dim()))
    kept = bool(a.get("keepdims", 1))
    norm: Tensor = torch.linalg.vector_norm(v[0], dim=axes, keepdim=kept)
    return norm


def _transpose(a: dict[str, Any], v: Values) -> Tensor:
    return v[0].permute(a.get("perm", list(range(v[0].dim()))[::-1]))  # type: ignore[no-any-return]


def _gather(a: dict[str, Any], v: Values) -> Tensor:
    x, index, axis = v[0], v[1], a.get("axis", 0)
    axis %= x.dim()
    flat: Tensor = x.index_select(axis, index.reshape(-1) % x.shape[axis])
    return flat.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _slice(a: dict[str, Any], v: Values) -> Tensor:
    x: Tensor = v[0]
    axes = v[3] if len(v) > 3 else range(len(v[1]))
    if len(v) > 4 and any(int(step) != 1 for step in v[4]):
        raise ValueError("a Slice that skips or reverses")
    index = [slice(None)] * x.dim()
    for axis, start, end in zip(axes, v[1], v[2], strict=True):
        index[int(axis)] = slice(int(start), int(end))
    return x[tuple(index)]


def _steps(a: dict[str, Any], v: Values) -> tuple[Tensor, Tensor]:
    """Scale and zero point, shaped to go along the axis of channels where there is one for each."""
    scale = v[1]
    zero = v[2] if len(v) > 2 else torch.zeros(1, dtype=torch.uint8)
    if scale.dim() == 0 or scale.numel() == 1:
        return scale.reshape(()), zero.reshape(())
    shape = [1] * v[0].dim()
    shape[a.get("axis", 1)] = -1
    return scale.reshape(shape), zero.reshape(shape)


def _quantize(a: dict[str, Any], v: Values) -> Tensor:
    """Whole numbers, kept as floats; the gradient passes as if nothing had been rounded."""
    scale, zero = _steps(a, v)
    exact = v[0] / scale
    whole = exact + (exact.round() - exact).detach()
    bounds = torch.iinfo(zero.dtype)
    return (whole + zero).clamp(bounds.min, bounds.max)  # type: ignore[no-any-return]


def _dequantize(a: dict[str, Any], v: Values) -> Tensor:
    scale, zero = _steps(a, v)
    return (v[0].to(scale.dtype) - zero.to(scale.dtype)) * scale  # type: ignore[no-any-return]


_POOL = frozenset({"kernel_shape", "strides", "pads"})
_NO_AUTO = {"auto_pad": ("NOTSET",), "ceil_mode": (0,), "storage_order": (0,)}
_PLAIN_DILATION = {"dilations": ([1, 1],)}

OPERATORS: dict[str, Operator] = {
    "Add": Operator(lambda a, v: v[0] + v[1], inputs=2),
    "AveragePool": Operator(
        _average_pool, _POOL | {"count_include_pad"}, _NO_AUTO | _PLAIN_DILATION
    ),
    "BatchNormalization": Operator(
        _batch_norm,
        frozenset({"epsilon", "momentum"}),
        {"training_mode": (0,), "spatial": (1,)},
        inputs=5,
    ),
    "Clip": Operator(_clip, frozenset({"min", "max"})),
    "Concat": Operator(lambda a, v: torch.cat(v, a["axis"]), frozenset({"axis"})),
    "Constant": Operator(lambda a, v: v[0], inputs=0),
    "Conv": Operator(_conv, _POOL | {"dilations", "group"}, _NO_AUTO, inputs=2),
    "DequantizeLinear": Operator(_dequantize, frozenset({"axis"}), inputs=2),
    "Div": Operator(lambda a, v: v[0] / v[1], inputs=2),
    "Dropout": Operator(lambda a, v: v[0], frozenset({"ratio", "seed"})),
    "Flatten": Operator(_flatten, frozenset({"axis"})),
    "Gather": Operator(_gather, frozenset({"axis"}), inputs=2),
    "Gemm": Operator(_gemm, frozenset({"alpha", "beta", "transA", "transB"}), inputs=2),
    "GlobalAveragePool": Operator(lambda a, v: v[0].mean((2, 3), keepdim=True)),
    "HardSigmoid": Operator(
        lambda a, v: (a.get("alpha", 0.2) * v[0] + a.get("beta", 0.5)).clamp(0, 1),
        frozenset({"alpha", "beta"}),
    ),
    "HardSwish": Operator(lambda a, v: F.hardswish(v[0])),
    "Identity": Operator(lambda a, v: v[0]),
    "LeakyRelu": Operator(
        lambda a, v: F.leaky_relu(v[0], a.get("alpha", 0.01)), frozenset({"alpha"})
    ),
    "MatMul": Operator(lambda a, v: v[0] @ v[1], inputs=2),
    "MaxPool": Operator(_max_pool, _POOL | {"dilations"}, _NO_AUTO),
    "Mul": Operator(lambda a, v: v[0] * v[1], inputs=2),
    "PRelu": Operator(_prelu, inputs=2),
    "QuantizeLinear": Operator(_quantize, frozenset({"axis"}), {"saturate": (1,)}, inputs=2),
    "ReduceL2": Operator(_reduce_l2, frozenset({"axes", "keepdims"})),
    "ReduceMean": Operator(_reduce_mean, frozenset({"axes", "keepdims"})),
    "Relu": Operator(lambda a, v: v[0].relu()),
    "Reshape": Operator(_reshape, frozenset({"allowzero"}), inputs=2),
    "Shape": Operator(lambda a, v: torch.tensor(v[0].shape, dtype=torch.int64)),
    "Sigmoid": Operator(lambda a, v: v[0].sigmoid()),
    "Slice": Operator(_slice, inputs=3),
    "Softmax": Operator(  # over another axis it meant something else before opset 13
        lambda a, v: v[0].softmax(a["axis"]), fixed={"axis": (-1,)}
    ),
    "Sqrt": Operator(lambda a, v: v[0].sqrt()),
    "Squeeze": Operator(_squeeze, frozenset({"axes"})),
    "Sub": Operator(lambda a, v: v[0] - v[1], inputs=2),
    "Tanh": Operator(lambda a, v: v[0].tanh()),
    "Transpose": Operator(_transpose, frozenset({"perm"})),
    "Unsqueeze": Operator(_unsqueeze, frozenset({"axes"})),
}
"""Each operator of the subset by its ONNX name."""
