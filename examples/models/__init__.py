"""Networks, each written after its paper in plain torch.nn: nothing here knows of convext.

The demo trains and runs some of them on real data; benchmarks/ measures them all.
"""

from .convnext import ConvNeXtT
from .deeplab import DeepLab
from .digits_cnn import DigitsCNN
from .mamba import MambaBlock
from .mobilenet import MobileNetV2
from .pointnet import PointNet, TNet
from .regnet import RegNetX
from .resnet import ResNet50
from .tcn import TCN
from .unet import UNet
from .wav2vec2 import FeatureEncoder
from .wavenet import WaveNet

__all__ = [
    "TCN",
    "ConvNeXtT",
    "DeepLab",
    "DigitsCNN",
    "FeatureEncoder",
    "MambaBlock",
    "MobileNetV2",
    "PointNet",
    "RegNetX",
    "ResNet50",
    "TNet",
    "UNet",
    "WaveNet",
]
