"""What of each class of op a published model has: the rows that src/devices/latency fits on name these models.

Shapes only, no weights (PyTorch's meta device). Prints the entries of src/devices/latency/models.ts.
Needs torch and torchvision: python bench/peers/model_features.py
"""
import torch
import torchvision.models as tv
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

FUSED = ("relu", "hardtanh", "clamp", "native_batch_norm", "batch_norm")
COUNTED = ("add", "mul", "cat", "max_pool", "avg_pool", "adaptive", "mean", "softmax", "layer_norm", "sigmoid", "hardswish",
           "hardsigmoid", "silu", "gelu", "upsample")


class Count(TorchDispatchMode):
    """macs by class, layers, elements written by products, elements written by the rest, stored elements."""

    def __init__(self):
        super().__init__()
        self.reset()

    def reset(self):
        names = ("conv", "pointwise", "grouped", "depthwise", "dense", "layers", "produced", "moved", "weights")
        self.f = dict.fromkeys(names, 0)

    def product(self, kind, macs, out, weights):
        self.f[kind] += macs
        self.f["layers"] += 1
        self.f["produced"] += out.numel()
        self.f["weights"] += weights

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.__name__
        if name.startswith("convolution"):
            w, groups = args[1], args[8]
            macs = out.numel() * w[0].numel()
            kind = "pointwise" if w.shape[2:].numel() == 1 else "conv"
            if groups > 1:
                kind = "depthwise" if w.shape[1] == 1 else "grouped"
            self.product(kind, macs, out, w.numel())
        elif name.split(".")[0] in ("mm", "addmm", "bmm", "baddbmm"):
            a, b = (args[1], args[2]) if name.startswith(("addmm", "badd")) else (args[0], args[1])
            self.product("dense", out.numel() * a.shape[-1], out, 0 if "bmm" in name else b.numel())
        elif any(part in name for part in FUSED) or not any(part in name for part in COUNTED):
            pass
        else:
            first = out[0] if isinstance(out, (tuple, list)) else out
            if first.dim() > 1:
                self.f["layers"] += 1
                self.f["moved"] += first.numel()
        return out


def conv(i, o, k, s=1, g=1):
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2 if isinstance(k, int) else (k[0] // 2, k[1] // 2), groups=g), nn.ReLU())


class Block(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.a, self.b = conv(i, o, 3, s), nn.Conv2d(o, o, 3, 1, 1)
        self.c = nn.Conv2d(i, o, 1, s) if s != 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.b(self.a(x)) + self.c(x))


def head(c, n):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, n), nn.Softmax(-1)]


def resnet8():
    return nn.Sequential(conv(3, 16, 3), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), *head(64, 10))


def dscnn():
    body = [m for _ in range(4) for m in (conv(64, 64, 3, 1, 64), conv(64, 64, 1))]
    return nn.Sequential(nn.Sequential(nn.Conv2d(1, 64, (10, 4), 2, (4, 1)), nn.ReLU()), *body, *head(64, 12))


def mobilenet_v1(alpha, classes):
    c = lambda n: int(n * alpha)
    plan = [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)] + [(512, 512, 1)] * 5 + [(512, 1024, 2), (1024, 1024, 1)]
    body = [m for i, o, s in plan for m in (conv(c(i), c(i), 3, s, c(i)), conv(c(i), c(o), 1))]
    return nn.Sequential(conv(3, c(32), 3, 2), *body, *head(c(1024), classes))


def autoencoder():
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    return nn.Sequential(*[m for i, o in zip(sizes, sizes[1:]) for m in (nn.Linear(i, o), nn.ReLU())][:-1])


IMAGE = (1, 3, 224, 224)
MODELS = {
    "mlperf-tiny-ic": (resnet8, (1, 3, 32, 32)),
    "mlperf-tiny-kws": (dscnn, (1, 1, 49, 10)),
    "mlperf-tiny-vww": (lambda: mobilenet_v1(0.25, 2), (1, 3, 96, 96)),
    "mlperf-tiny-ad": (autoencoder, (1, 640)),
    "mobilenet_v2_0.35_128": (lambda: tv.mobilenet_v2(width_mult=0.35), (1, 3, 128, 128)),
    "mobilenet_v2_0.35_224": (lambda: tv.mobilenet_v2(width_mult=0.35), IMAGE),
    "mobilenet_v1_0.25_224": (lambda: mobilenet_v1(0.25, 1000), IMAGE),
    "mobilenet_v1_0.25_96": (lambda: mobilenet_v1(0.25, 1000), (1, 3, 96, 96)),
    "mobilenet_v1_0.5_224": (lambda: mobilenet_v1(0.5, 1000), IMAGE),
    "mobilenet_v1_1.0_224": (lambda: mobilenet_v1(1.0, 1000), IMAGE),
    "mobilenet_v2_1.4_224": (lambda: tv.mobilenet_v2(width_mult=1.4), IMAGE),
    "shufflenet_v2_x1_0": (tv.shufflenet_v2_x1_0, IMAGE),
    "regnet_x_400mf": (tv.regnet_x_400mf, IMAGE),
    "regnet_x_1_6gf": (tv.regnet_x_1_6gf, IMAGE),
    "regnet_x_800mf": (tv.regnet_x_800mf, IMAGE),
}
HUB = dict(densenet121="densenet121", googlenet="googlenet", inception_v3="inception_v3", mobilenet_v2="mobilenet_v2", regnet="regnet_x_3_2gf",
           regnet_y_800mf="regnet_y_800mf", resnet18="resnet18", resnet50="resnet50", resnet101="resnet101", resnext50="resnext50_32x4d",
           resnext101="resnext101_32x8d", shufflenet_v2="shufflenet_v2_x0_5", squeezenet1_1="squeezenet1_1", wideresnet50="wide_resnet50_2",
           vit="vit_b_16", convnext_tiny="convnext_tiny", convnext_base="convnext_base", mnasnet05="mnasnet0_5",
           mobilenet_v3_large="mobilenet_v3_large", mobilenet_v3_small="mobilenet_v3_small")
for name, make in HUB.items():
    more = dict(init_weights=False, aux_logits=False) if name in ("googlenet", "inception_v3") else {}
    MODELS[name] = (lambda make=make, more=more: getattr(tv, make)(**more), IMAGE)
MODELS["efficientnet_b0"] = (tv.efficientnet_b0, IMAGE)
MODELS["efficientnet_b4"] = (tv.efficientnet_b4, (1, 3, 380, 380))
MODELS["efficientnet_v2_s"] = (tv.efficientnet_v2_s, (1, 3, 384, 384))

with torch.no_grad():
    for name, (make, shape) in MODELS.items():
        with torch.device("cpu" if "regnet" in name else "meta"):  # RegNet computes its widths with tensors
            net = make().eval().to("meta")
        with Count() as count:
            net(torch.zeros(shape, device="meta"))
        print(f"  '{name}': [{', '.join(str(v) for v in count.f.values())}],")
