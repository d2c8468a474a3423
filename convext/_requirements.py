"""What must be true before the extension may be loaded: on another system or with another PyTorch, loading
it would crash or complain of missing symbols. Imported for its checks, before `convext._C`."""

import platform


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


if platform.system() != "Linux" or platform.machine() != "x86_64":
    raise ImportError(
        f"convext runs on Linux on x86-64 only; this is {platform.system()} on {platform.machine()}."
    )

try:
    import torch
except ModuleNotFoundError as error:
    raise ImportError(f"convext needs PyTorch, which cannot be imported: {error}.") from None

try:
    from convext._build_info import TORCH_VERSION
except ModuleNotFoundError:
    raise ImportError("convext is not built yet: run `make build` in its source tree.") from None

if _minor(torch.__version__) != _minor(TORCH_VERSION):
    raise ImportError(
        f"convext was built with PyTorch {TORCH_VERSION} and cannot run with {torch.__version__}: "
        f"build it again, or install PyTorch {_minor(TORCH_VERSION)}."
    )
