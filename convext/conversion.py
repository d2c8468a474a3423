"""Swapping a model's convolution layers for convext's, in place, and back."""

from collections.abc import Callable
from typing import TypeVar

from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import is_parametrized

from convext import modules

_Model = TypeVar("_Model", bound=nn.Module)
_Class = type[nn.Module]

_CONVEXT: dict[_Class, _Class] = {
    nn.Conv1d: modules.Conv1d,
    nn.Conv2d: modules.Conv2d,
    nn.ConvTranspose1d: modules.ConvTranspose1d,
    nn.ConvTranspose2d: modules.ConvTranspose2d,
    nn.LazyConv1d: modules.LazyConv1d,
    nn.LazyConv2d: modules.LazyConv2d,
    nn.LazyConvTranspose1d: modules.LazyConvTranspose1d,
    nn.LazyConvTranspose2d: modules.LazyConvTranspose2d,
}
_TORCH = {theirs: ours for ours, theirs in _CONVEXT.items()}


def convert(model: _Model, filter_fn: Callable[[nn.Module, str], bool] | None = None) -> _Model:
    """Turns the convolution layers of `model` into convext's, in place.

    Only the class of each layer changes. The module objects, their Parameters, buffers and hooks, and so
    the state of an optimizer, stay what they are, and `state_dict` keeps its keys. Layers under
    `torch.nn.utils.parametrize` (weight_norm, spectral_norm, ...) are converted too, lazy ones become
    convext's lazy ones.

    Left as they are: subclasses of torch.nn's layers and instances whose `forward` was replaced, because
    they may compute something else; three-dimensional and quantized layers, because convext has none.
    :func:`convext.report` names them.

    Args:
        model: any module; it may itself be a convolution.
        filter_fn: called with each convertible layer and its name in the model; False leaves it alone.

    Returns:
        `model`.

    >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 1))
    >>> convext.convert(model, lambda layer, name: layer.kernel_size != (1, 1))
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
      (1): ReLU()
      (2): Conv2d(8, 8, kernel_size=(1, 1), stride=(1, 1))
    )
    >>> [is_converted(layer) for layer in model]
    [True, False, False]
    """
    for name, module in model.named_modules():
        if why_not(module) is None and (filter_fn is None or filter_fn(module, name)):
            _become(module, _CONVEXT[_plain_class(module)])
    return model


def revert(model: _Model) -> _Model:
    """Undoes :func:`convert`, in place: every convext layer of `model` becomes torch.nn's again.

    >>> model = convext.revert(convext.convert(torch.nn.Conv2d(3, 8, 3)))
    >>> type(model) is torch.nn.Conv2d
    True
    """
    for module in model.modules():
        if is_converted(module):
            _become(module, _TORCH[_plain_class(module)])
    return model


def is_converted(module: nn.Module) -> bool:
    """Whether this layer is one of convext's own classes."""
    return _plain_class(module) in _TORCH


def is_convolution(module: nn.Module) -> bool:
    """Whether this layer is a convolution of any kind, convertible or not: what a report should mention."""
    cls = type(module)
    return isinstance(module, _ConvNd) or (
        cls.__module__.startswith("torch.ao.nn.") and "Conv" in cls.__name__
    )


def why_not(module: nn.Module) -> str | None:
    """Why :func:`convert` leaves `module` alone; None if it does not."""
    if is_converted(module):
        return "it is convext's already"
    cls = _plain_class(module)
    if cls in _CONVEXT:
        replaced = {"forward", "_conv_forward"} & vars(module).keys()
        return f"its {replaced.pop()} was replaced on this instance" if replaced else None
    if not is_convolution(module):
        return "it is no convolution"
    if cls.__module__.startswith("torch.ao.nn."):
        return "it is a quantized layer"
    if cls in (nn.Conv3d, nn.ConvTranspose3d, nn.LazyConv3d, nn.LazyConvTranspose3d):
        return "convext has no three-dimensional convolution"
    return f"its class {cls.__qualname__} is derived from torch.nn's and may compute something else"


def _plain_class(module: nn.Module) -> _Class:
    """The class of a layer, before torch.nn.utils.parametrize derived one of its own for this instance."""
    cls = type(module)
    return cls.__bases__[0] if is_parametrized(module) else cls


def _become(module: nn.Module, cls: _Class) -> None:
    # A parametrized layer's own class carries the properties. Deep copies share it, so it is not
    # rebased but made anew.
    if is_parametrized(module):
        own = type(module)
        members = {
            name: value for name, value in vars(own).items() if name not in ("__dict__", "__weakref__")
        }
        cls = type(own.__name__, (cls,), members)
    module.__class__ = cls
