"""Products of matrices, and attention."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from pocketfit.models.onnx_ops.call import Call, Operator, Value

__all__ = ["TABLE"]


def _matmul(call: Call) -> Value:
    return torch.matmul(call.tensor(0), call.tensor(1))


def _linear(call: Call) -> Value:
    """No operator of ONNX: what a product by a weight became when the file was read."""
    return F.linear(call.tensor(0), call.tensor(1), call.optional(2))


def _gemm(call: Call) -> Value:
    left, right, added = call.tensor(0), call.tensor(1), call.optional(2)
    left = left.t() if call.get("transA", 0) else left
    right = right if call.get("transB", 0) else right.t()
    right = right if call.get("alpha", 1.0) == 1 else right * call.get("alpha")
    if added is not None and call.get("beta", 1.0) != 1:
        added = added * call.get("beta")
    if added is None or added.shape == right.shape[:1]:
        return F.linear(left, right, added)
    return F.linear(left, right) + added


def _einsum(call: Call) -> Value:
    return torch.einsum(call.get("equation"), *call.tensors())


def _attention(call: Call) -> Value:
    """ONNX's own, since opset 23; three axes mean that the heads lie side by side."""
    _check_attention(call)
    query, key, value = (call.tensor(index) for index in range(3))
    is_flat = query.dim() == 3
    if is_flat:
        heads, shared = call.get("q_num_heads"), call.get("kv_num_heads")
        query, key, value = _heads(query, heads), _heads(key, shared), _heads(value, shared)
    times = query.shape[1] // key.shape[1]
    if times > 1:
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    result = F.scaled_dot_product_attention(
        query, key, value, call.optional(3), is_causal=bool(call.get("is_causal", 0)), scale=call.get("scale")
    )
    return result.transpose(1, 2).flatten(2) if is_flat else result


def _heads(x: Tensor, heads: int) -> Tensor:
    return torch.unflatten(x, 2, (heads, -1)).transpose(1, 2)


_ATTENTION = {
    "is_causal",
    "kv_num_heads",
    "q_num_heads",
    "qk_matmul_output_mode",
    "scale",
    "softcap",
    "softmax_precision",
}


def _check_attention(call: Call) -> None:
    call.only_first_output()
    unknown = set(call.node.attributes) - _ATTENTION
    if any(call.has(index) for index in (4, 5, 6)) or call.get("softcap", 0.0) or unknown:
        call.refuse("caches, windows and soft caps are not supported.", "Export the model without them.")
    if call.has(3) and call.get("is_causal", 0):
        call.refuse("a mask beside is_causal is not supported.", "Put the causal part into the mask.")


TABLE: Mapping[str, Operator] = {
    "MatMul": _matmul,
    "Linear": _linear,
    "Gemm": _gemm,
    "Einsum": _einsum,
    "Attention": _attention,
}
