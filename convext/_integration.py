"""What PyTorch's own tools must be told about convext's operators."""

from typing import Any

import torch
import torch.nn.functional as F
from torch.jit._builtins import _register_builtin
from torch.nn.modules.utils import _pair, _reverse_repeat_tuple, _single
from torch.nn.utils._expanded_weights.conv_expanded_weights import ConvPerSampleGrad
from torch.nn.utils._expanded_weights.conv_utils import int_padding_for_string_padding
from torch.nn.utils._expanded_weights.expanded_weights_impl import implements_per_sample_grads
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


class _PerSampleGrad:
    """Lets torch.nn.utils' gradients for each sample, which know torch's convolutions, know convext's."""

    def __init__(self, function: Any, expand: Any) -> None:
        self.function, self.expand = function, expand

    def apply(
        self,
        keywords: tuple[str, ...],
        overridden: Any,
        input: Any,
        weight: Any,
        bias: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        padding_mode: str,
    ) -> Any:
        if padding_mode != "zeros":
            if isinstance(padding, str):
                dilation = self.expand(dilation)
                widths = int_padding_for_string_padding(self.function, padding, dilation, weight.shape[2:])
            else:
                widths = _reverse_repeat_tuple(self.expand(padding), 2)
            input, padding = F.pad(input, widths, mode=padding_mode), self.expand(0)
        names = ("bias", "stride", "padding", "dilation", "groups")
        return ConvPerSampleGrad.apply(
            names, self.function, input, weight, bias, stride, padding, dilation, groups
        )


implements_per_sample_grads(functional.conv1d)(_PerSampleGrad(F.conv1d, _single))
implements_per_sample_grads(functional.conv2d)(_PerSampleGrad(F.conv2d, _pair))


@register_flop_formula(_ops.conv_output)
def _output_flops(input: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return conv_flop_count(input, weight, out_shape)


@register_flop_formula(_ops.conv_input_grad)
def _input_grad_flops(output: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return conv_flop_count(output, weight, out_shape, transposed=True)


@register_flop_formula(_ops.conv_weight_grad)
def _weight_grad_flops(output: Any, input: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return conv_flop_count(input, out_shape[0], output)
