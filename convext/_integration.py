"""What PyTorch's own tools must be told about convext's operators."""

from typing import Any

import torch
from torch import Tensor
from torch.func import vjp, vmap
from torch.jit._builtins import _register_builtin
from torch.nn.utils._expanded_weights.expanded_weights_impl import implements_per_sample_grads
from torch.nn.utils._expanded_weights.expanded_weights_utils import forward_helper, set_grad_sample_if_exists
from torch.utils.flop_counter import conv_flop_count, register_flop_formula

from convext import functional

_ops = torch.ops.convext

# TorchScript compiles a call of one of the functions as a call of the operator of the same name, whose
# overload it chooses by the types of the arguments.
for _function in (
    functional.conv1d,
    functional.conv2d,
    functional.conv_transpose1d,
    functional.conv_transpose2d,
):
    _register_builtin(_function, f"convext::{_function.__name__}")


class _PerSampleGrad(torch.autograd.Function):
    """Lets torch.nn.utils' gradients for each sample, which know torch's convolutions, know convext's."""

    @staticmethod
    def forward(
        ctx: Any, keywords: tuple[str, ...], function: Any, input: Tensor, weight: Any, bias: Any, *rest: Any
    ) -> Tensor:
        if input.dim() != len(weight.shape):
            raise RuntimeError(  # torch's words, misprint and all
                f"Expanded Weights only support convolution with batched input, got {function} with an"
                f"unbatched input of dim {input.dim()}, expected input of dim {len(weight.shape)}"
            )
        with torch.enable_grad():
            ctx.input = input.detach().requires_grad_(input.requires_grad)
            ctx.output = forward_helper(function, (ctx.input, weight, bias, *rest), {})
        ctx.weight, ctx.bias = weight, bias
        ctx.convolve = lambda x, w: function(x, w, None, *rest)
        output: Tensor = ctx.output.detach()
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        def weight_grads(weight: Tensor) -> Any:
            def of_sample(x: Tensor, g: Tensor) -> Tensor:
                gradient: Tensor = vjp(lambda w: ctx.convolve(x[None], w), weight)[1](g[None])[0]
                return gradient

            return vmap(of_sample)(ctx.input.detach(), grad)

        set_grad_sample_if_exists(ctx.weight, weight_grads)
        set_grad_sample_if_exists(ctx.bias, lambda _: grad.flatten(2).sum(2))
        input_grad = None
        if ctx.input.requires_grad:
            (input_grad,) = torch.autograd.grad(ctx.output, ctx.input, grad)
        return None, None, input_grad, *[None] * 7


for _function in (functional.conv1d, functional.conv2d):
    implements_per_sample_grads(_function)(_PerSampleGrad)


@register_flop_formula(_ops.conv_output)
def _output_flops(input: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return conv_flop_count(input, weight, out_shape)


@register_flop_formula(_ops.conv_input_grad)
def _input_grad_flops(output: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return conv_flop_count(output, weight, out_shape, transposed=True)


@register_flop_formula(_ops.conv_weight_grad)
def _weight_grad_flops(output: Any, input: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return conv_flop_count(input, out_shape[0], output)
