"""What the examples in docstrings take for granted."""

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _example_names(doctest_namespace: dict[str, Any]) -> None:
    import torch

    import convext

    doctest_namespace.update(torch=torch, convext=convext)
