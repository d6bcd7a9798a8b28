"""Networks of the AI Hub table that can be built from their papers or from timm and torchvision, and what they ask for.

Only these, and none that takes minutes to run once: the table names its networks, and says nothing of their layers.
Networks with three-dimensional convolutions are left out, which are no kind of work: LiteRT takes up to a hundred times
as long for them as QNN does.

Source of the inputs and of what follows the last layer: the models' definitions in Qualcomm's `ai-hub-models` of 2025,
by `get_input_spec`. The input size in the table is that of the model's card, which is another one for EfficientNets,
FCN, DETR, U-Net and DeepLab; PSPNet looks at each picture twice, mirrored.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.architectures.torchvision_package import import_torchvision
from benchmarks.latency import hub_built
from benchmarks.latency.hub_built import Best, Block
from benchmarks.real_data import cache_folder
from pocketfit.devices.predict import npu
from pocketfit.devices.predict.demands import demands_of, total_amounts
from pocketfit.errors import PocketfitError
from pocketfit.models.canonical import canonicalise

__all__ = ["HUB_NETWORKS", "HubNetwork", "hub_amounts"]


@dataclass(frozen=True)
class HubNetwork:
    """One component of the table.

    Args:
        model: its `model_id`.
        component: as the table spells it.
        input_shape: without the batch.
        build: makes it, with random weights.
    """

    model: str
    component: str
    input_shape: tuple[int, ...]
    build: Callable[[], nn.Module]


def hub_amounts() -> dict[tuple[str, str], dict[str, float]]:
    """Units of an NPU's work by kind of every network that can be built, by model and component; kept in the cache."""
    found = ((network, _amounts(network)) for network in HUB_NETWORKS)
    return {(network.model, network.component): amounts for network, amounts in found if amounts}


def _amounts(network: HubNetwork) -> dict[str, float]:
    version = hashlib.sha256(inspect.getsource(npu).encode()).hexdigest()[:8]
    shape = "x".join(map(str, network.input_shape))
    path = cache_folder() / f"latency-hub-{version}" / f"{network.model}-{network.component}-{shape}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_read(network)))
    amounts: dict[str, float] = json.loads(path.read_text())
    return amounts


def _read(network: HubNetwork) -> dict[str, float]:
    try:
        model = canonicalise(network.build(), network.input_shape, name=network.model)
    except PocketfitError as error:
        print(f"{network.model}: {error}")
        return {}
    return total_amounts(demands_of(model), "npu")


def _timm(name: str, **arguments: Any) -> nn.Module:
    import_torchvision()
    module: nn.Module = importlib.import_module("timm").create_model(name, pretrained=False, **arguments)
    return module


def _torchvision(name: str, **arguments: Any) -> nn.Module:
    import_torchvision()
    module: nn.Module = importlib.import_module("torchvision.models").get_model(name, weights=None, **arguments)
    return module


class _First(nn.Module):
    """The first of several answers."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = next(iter(self.module(x).values()))
        return answer


def _fcn() -> nn.Module:
    return nn.Sequential(_First(_torchvision("fcn_resnet50", weights_backbone=None, num_classes=21)), Best(1))


class _HighResolution(nn.Module):
    """Heat maps of points from the largest features of an HRNet, or from all of them.

    Source: Sun et al., "Deep High-Resolution Representation Learning", 2019, figures 1 and 3; Wang et al., 2020,
    section 3.3, for all of them.
    """

    def __init__(self, name: str, channels: int, points: int, *, joined: bool) -> None:
        super().__init__()
        self.features = _timm(name, features_only=True, feature_location="")
        self.joined = joined
        last = nn.Conv2d(channels, points, 1)
        self.head = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.ReLU(), last) if joined else last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.features(x)[1:]
        if self.joined:
            size = maps[0].shape[-2:]
            maps = [torch.cat([functional.interpolate(one, size, mode="bilinear") for one in maps], 1)]
        y: torch.Tensor = self.head(maps[0])
        return y


def _text_transformer(width: int, depth: int, heads: int, head: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(*(Block(width, heads, 4 * width) for _ in range(depth)), head())


def _words(width: int, inner: int, vocabulary: int) -> nn.Module:
    """What stands where, for every word.

    Source: Devlin et al., "BERT", 2018, section 3.1.
    """
    return nn.Sequential(
        nn.Linear(width, inner), nn.GELU(), nn.LayerNorm(inner), nn.Linear(inner, vocabulary), Best(-1)
    )


def _true_or_not() -> nn.Module:
    """Source: Clark et al., "ELECTRA", 2020, section 2."""
    return nn.Sequential(nn.Linear(768, 768), nn.GELU(), nn.Linear(768, 1))


def _plain_super_resolution(width: int, depth: int, activation: Callable[[], nn.Module]) -> nn.Module:
    """Convolutions, then a rearrangement of 48 channels to a picture of four times the side."""
    inner = [layer for _ in range(depth) for layer in (nn.Conv2d(width, width, 3, padding=1), activation())]
    first, last = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 48, 3, padding=1)
    return nn.Sequential(first, activation(), *inner, last, nn.PixelShuffle(4))


def _mobilenet_v1_audio() -> nn.Module:
    """Source: Howard et al., "MobileNets", 2017, table 1, on one channel, with the 521 classes of AudioSet."""
    plan = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
    layers: list[nn.Module] = [nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU()]
    channels = 32
    for filters, stride in plan:
        depthwise = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels)
        layers += [depthwise, nn.ReLU(), nn.Conv2d(channels, filters, 1), nn.ReLU()]
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 521))


def _networks() -> Iterator[HubNetwork]:
    for model, component, name, side in _TIMM:
        sized = {"img_size": side} if "patch" in name else {}
        yield HubNetwork(model, component, (3, side, side), partial(_timm, name, **sized))
    for model, component, name, arguments in _TORCHVISION:
        yield HubNetwork(model, component, (3, 224, 224), partial(_torchvision, name, **arguments))
    yield HubNetwork("fcn_resnet50", "FCN-ResNet50", (3, 520, 520), _fcn)
    for model, component, depth, head in _TEXTS:
        yield HubNetwork(model, component, (384, 768), partial(_text_transformer, 768, depth, 12, head))
    for languages in ("en_es", "en_zh", "es_en", "zh_en"):
        build = partial(_text_transformer, 512, 6, 8, partial(hub_built.keys_and_values, 512, 6))
        yield HubNetwork(f"opus_mt_{languages}", "OpusMTEncoder", (256, 512), build)
    for model, component, width, depth, activation in _SUPER_RESOLUTION:
        build = partial(_plain_super_resolution, width, depth, activation)
        yield HubNetwork(model, component, (3, 128, 128), build)
    for model, component, shape, make in _BUILT:
        yield HubNetwork(model, component, shape, make)
    yield HubNetwork("yamnet", "YamNet", (1, 96, 64), _mobilenet_v1_audio)


_TIMM = (
    ("beit", "Beit", "beit_base_patch16_224", 224),
    ("convnext_base", "ConvNext-Base", "convnext_base", 224),
    ("dla102x", "DLA-102-X", "dla102x", 224),
    ("efficientformer", "EfficientFormer", "efficientformer_l1", 224),
    ("efficientnet_b4", "EfficientNet-B4", "efficientnet_b4", 224),
    ("efficientvit_b2_cls", "EfficientViT-b2-cls", "efficientvit_b2", 224),
    ("efficientvit_l2_cls", "EfficientViT-l2-cls", "efficientvit_l2", 224),
    ("inception_v3", "Inception-v3", "inception_v3", 224),
    ("levit", "LeViT", "levit_128s", 224),
    ("mobilenet_v2", "MobileNet-v2", "mobilenetv2_100", 224),
    ("mobilenet_v3_large", "MobileNet-v3-Large", "mobilenetv3_large_100", 224),
    ("nasnet", "NASNet", "nasnetalarge", 224),
    ("regnet", "RegNet", "regnetx_032", 224),
    ("resnet101", "ResNet101", "resnet101", 224),
    ("resnet18", "ResNet18", "resnet18", 224),
    ("resnet50", "ResNet50", "resnet50", 224),
    ("resnext101", "ResNeXt101", "resnext101_32x8d", 224),
    ("resnext50", "ResNeXt50", "resnext50_32x4d", 224),
    ("vit", "VIT", "vit_base_patch16_224", 224),
    ("wideresnet50", "WideResNet50", "wide_resnet50_2", 224),
)
_TORCHVISION: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("googlenet", "GoogLeNet", "googlenet", {"aux_logits": False, "init_weights": False}),
    ("shufflenet_v2", "Shufflenet-v2", "shufflenet_v2_x0_5", {}),
    ("squeezenet1_1", "SqueezeNet-1.1", "squeezenet1_1", {}),
)
_TEXTS: tuple[tuple[str, str, int, Callable[[], nn.Module]], ...] = (
    ("bert_base_uncased_hf", "Bert-Base-Uncased-Hf", 12, partial(_words, 768, 768, 30522)),
    ("distil_bert_base_uncased_hf", "Distil-Bert-Base-Uncased-Hf", 6, partial(_words, 768, 768, 30522)),
    ("electra_bert_base_discrim_google", "Electra-Bert-Base-Discrim-Google", 12, _true_or_not),
    ("albert_base_v2_hf", "Albert-Base-V2-Hf", 12, partial(_words, 768, 128, 30000)),
)
_SUPER_RESOLUTION: tuple[tuple[str, str, int, int, Callable[[], nn.Module]], ...] = (
    ("quicksrnetsmall", "QuickSRNetSmall", 32, 2, nn.ReLU6),
    ("quicksrnetmedium", "QuickSRNetMedium", 32, 5, nn.ReLU6),
    ("quicksrnetlarge", "QuickSRNetLarge", 64, 11, nn.ReLU6),
    ("real_esrgan_general_x4v3", "Real-ESRGAN-General-x4v3", 64, 32, nn.ReLU),
)
_BUILT: tuple[tuple[str, str, tuple[int, ...], Callable[[], nn.Module]], ...] = (
    ("cavaface", "CavaFace", (3, 112, 112), hub_built.face_resnet),
    ("deeplabv3_plus_mobilenet", "DeepLabV3-Plus-MobileNet", (3, 520, 520), hub_built.deeplab_mobilenet),
    ("depth_anything", "Depth-Anything", (3, 518, 518), hub_built.depth_anything),
    ("depth_anything_v2", "Depth-Anything-V2", (3, 518, 518), hub_built.depth_anything),
    ("detr_resnet50", "DETR-ResNet50", (3, 640, 640), partial(hub_built.detr, 50)),
    ("detr_resnet50_dc5", "DETR-ResNet50-DC5", (3, 640, 640), partial(hub_built.detr, 50, dilated=True)),
    ("detr_resnet101", "DETR-ResNet101", (3, 640, 640), partial(hub_built.detr, 101)),
    ("detr_resnet101_dc5", "DETR-ResNet101-DC5", (3, 640, 640), partial(hub_built.detr, 101, dilated=True)),
    ("efficientnet_v2_s", "EfficientNet-V2-s", (3, 224, 224), partial(_torchvision, "efficientnet_v2_s")),
    ("esrgan", "ESRGAN", (3, 128, 128), hub_built.esrgan),
    ("fastsam_s", "FastSam-S", (3, 640, 640), partial(hub_built.yolov8, "s", masks=True)),
    ("fastsam_x", "FastSam-X", (3, 640, 640), partial(hub_built.yolov8, "x", masks=True)),
    ("hrnet_face", "HRNetFace", (3, 256, 256), partial(_HighResolution, "hrnet_w18", 270, 29, joined=True)),
    ("hrnet_pose", "HRNetPose", (3, 256, 192), partial(_HighResolution, "hrnet_w32", 32, 17, joined=False)),
    ("posenet_mobilenet", "Posenet-Mobilenet", (3, 513, 257), hub_built.pose_mobilenet),
    ("nomic_embed_text", "Nomic-Embed-Text", (128, 768), hub_built.gated_transformer),
    ("openai_clip", "OpenAI-Clip", (3, 224, 224), hub_built.clip),
    ("pspnet", "PSPNet", (3, 473, 473), partial(hub_built.pyramid_parser, 473)),
    ("real_esrgan_x4plus", "Real-ESRGAN-x4plus", (3, 128, 128), hub_built.esrgan),
    ("unet_segmentation", "Unet-Segmentation", (3, 640, 1280), hub_built.unet),
    ("video_mae", "Video-MAE", (1568, 1536), hub_built.video_transformer),
    ("yolov5", "Yolo-v5", (3, 640, 640), hub_built.yolov5),
    ("yolov8_det", "YOLOv8-Detection", (3, 640, 640), partial(hub_built.yolov8, "n")),
    ("yolov8_seg", "YOLOv8-Segmentation", (3, 640, 640), partial(hub_built.yolov8, "n", masks=True)),
    ("yolox", "Yolo-X", (3, 640, 640), hub_built.yolox),
)
HUB_NETWORKS = tuple(_networks())
