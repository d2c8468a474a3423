"""The demo's networks, each written after its paper in plain torch.nn: nothing here knows of convext."""

from .digits_cnn import DigitsCNN
from .mobilenet import MobileNetV2
from .pointnet import TNet
from .resnet import ResNet50
from .tcn import TCN

__all__ = ["TCN", "DigitsCNN", "MobileNetV2", "ResNet50", "TNet"]
