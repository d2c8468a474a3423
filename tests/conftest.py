"""Settings of the whole suite."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts with the same seed and, unless it asks for more, one thread."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
