"""Taking BatchNorm out of a trained network without changing what it computes.

BatchNorm mixes the people of a batch and carries their statistics in its buffers, so none may be
left where private faces are trained on. Statistics are folded into the layer before, in float64;
where there is none, a ``ChannelAffine`` stays.
"""

import copy
from collections import Counter

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from common.errors import ModelError
from common.models.affine import ChannelAffine

_FOLDABLE = (nn.Conv2d, nn.Linear)


def fold_batchnorm(model: nn.Module) -> nn.Module:
    """A copy of ``model`` in eval mode with every BatchNorm folded or made a ``ChannelAffine``.

    Exact up to rounding: the largest error is that of float32. The structure of the result does
    not depend on the weights. Raises ``ModelError`` for a BatchNorm without running statistics.
    """
    folded = copy.deepcopy(model).eval()
    before = _layers_before(folded)
    norms = [(name, m) for name, m in folded.named_modules() if isinstance(m, _BatchNorm)]
    for name, norm in norms:
        scale, shift = _affine(name, norm)
        layer = folded.get_submodule(before[name]) if name in before else None
        if isinstance(layer, _FOLDABLE):
            _fold_into(layer, scale, shift)
            folded.set_submodule(name, nn.Identity())
        else:
            kind = norm.running_var.dtype if norm.running_var is not None else torch.float32
            folded.set_submodule(name, ChannelAffine(scale.to(kind), shift.to(kind)))
    return folded


def refuse_batch_dependence(model: nn.Module, allowed: frozenset[str] = frozenset()) -> None:
    """Raises ``ModelError`` if ``model`` could mix people or carry their statistics.

    That is any BatchNorm, frozen or not (in train mode its statistics move even if its parameters
    do not), and any buffer whose name is not in ``allowed``.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            raise ModelError(f"{name or 'the model'} is a {type(module).__name__}; fold it first")
    for name, _ in model.named_buffers():
        if name not in allowed:
            raise ModelError(f"unexpected buffer {name!r}")


def _layers_before(model: nn.Module) -> dict[str, str]:
    """BatchNorm's name -> name of the layer it alone reads, both used exactly once."""
    try:
        graph = fx.Tracer().trace(model)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError):
        return {}  # data-dependent control flow: every BatchNorm stays, as a ChannelAffine
    modules = dict(model.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    found = {}
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], _BatchNorm):
            continue
        source = node.args[0]
        if (
            source.op == "call_module"
            and isinstance(modules[source.target], _FOLDABLE)
            and len(source.users) == 1
            and calls[source.target] == calls[node.target] == 1
        ):
            found[node.target] = source.target
    return found


def _affine(name: str, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """``norm`` in eval mode as scale (C,) and shift (C,), float64."""
    if norm.running_mean is None or norm.running_var is None:
        raise ModelError(f"{name}: a BatchNorm without running statistics cannot be folded")
    if norm.running_var.is_meta:  # shapes alone: arithmetic on them would load torch's compiler
        blank = torch.empty(norm.num_features, dtype=torch.float64, device="meta")
        return blank, blank
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.double() * scale
    return scale, shift + norm.bias.detach().double() if norm.affine else shift


def _fold_into(layer: nn.Conv2d | nn.Linear, scale: Tensor, shift: Tensor) -> None:
    weight = layer.weight.detach()
    wide, bias = weight, shift
    if not weight.is_meta:
        wide = weight.double() * scale.reshape(-1, *[1] * (weight.dim() - 1))
        bias = shift if layer.bias is None else layer.bias.detach().double() * scale + shift
    trained = layer.weight.requires_grad
    layer.weight = nn.Parameter(wide.to(weight.dtype), requires_grad=trained)
    layer.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=trained)
