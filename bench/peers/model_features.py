"""What of each class of op a published model has: the rows that src/devices/latency fits on name these models.

Shapes only, no weights (PyTorch's meta device). Prints the entries of src/devices/latency/models.ts, and to stderr the parameters
of each model beside the published number, where one is known.
Needs torch, torchvision, timm and transformers (and ultralytics for the YOLO entries): python bench/peers/model_features.py [NAME ...]
"""
import sys

import torch
import torchvision.models as tv
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

FUSED = ("relu", "hardtanh", "clamp", "native_batch_norm", "batch_norm", "leaky")
COUNTED = ("add", "mul", "cat", "max_pool", "avg_pool", "adaptive", "mean", "softmax", "layer_norm", "sigmoid", "hardswish",
           "hardsigmoid", "silu", "gelu", "upsample", "clone", "split")
NAMES = ("conv", "pointwise", "grouped", "depthwise", "dense", "layers", "produced", "moved", "joined", "weights", "large")
LARGE = 1 << 21  # elements that a layer reads and writes, above which they do not fit the memory of small accelerators


def tensors(args):
    for arg in args:
        if isinstance(arg, torch.Tensor):
            yield arg
        elif isinstance(arg, (list, tuple)):
            yield from tensors(arg)


class Count(TorchDispatchMode):
    """macs by class, layers, elements written by products, by the rest and by concatenation, stored, and of large layers."""

    def __init__(self):
        super().__init__()
        self.f = dict.fromkeys(NAMES, 0)

    def size(self, read, out):
        both = sum(t.numel() for t in read) + out.numel()
        self.f["large"] += both if both > LARGE else 0

    def product(self, kind, macs, read, out, weights):
        self.f[kind] += macs
        self.f["layers"] += 1
        self.f["produced"] += out.numel()
        self.f["weights"] += weights
        self.size(read, out)

    def other(self, name, args, out):
        first = out[0] if isinstance(out, (tuple, list)) else out
        read = [t for t in tensors(args) if t.dim() > 1]
        scaled = name.split(".")[0] in ("add", "mul") and len(read) < 2  # by a constant: part of its neighbour
        if first.dim() < 2 or scaled:
            return
        self.f["layers"] += 1
        self.f["joined" if name.startswith("cat") else "moved"] += first.numel()
        self.size(read[:1] if name.startswith("split") else read, first)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.__name__
        if name.startswith("convolution"):
            x, w, groups = args[0], args[1], args[8]
            macs = (x if args[6] else out).numel() * w[0].numel()
            kind = "pointwise" if w.shape[2:].numel() == 1 else "conv"
            if groups > 1:
                kind = "depthwise" if w.shape[1] == 1 else "grouped"
            self.product(kind, macs, [x], out, w.numel())
        elif name.split(".")[0] in ("mm", "addmm", "bmm", "baddbmm"):
            a, b = (args[1], args[2]) if name.startswith(("addmm", "badd")) else (args[0], args[1])
            bmm = "bmm" in name
            self.product("dense", out.numel() * a.shape[-1], [a, b] if bmm else [a], out, 0 if bmm else b.numel())
        elif any(part in name for part in COUNTED) and not any(part in name for part in FUSED):
            self.other(name, args, out)
        return out


def conv(i, o, k, s=1, g=1):
    pad = k // 2 if isinstance(k, int) else (k[0] // 2, k[1] // 2)
    return nn.Sequential(nn.Conv2d(i, o, k, s, pad, groups=g), nn.ReLU())


class Block(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.a, self.b = conv(i, o, 3, s), nn.Conv2d(o, o, 3, 1, 1)
        self.c = nn.Conv2d(i, o, 1, s) if s != 1 else nn.Identity()

    def forward(self, x):
        return torch.relu(self.b(self.a(x)) + self.c(x))


def head(c, n):
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, n), nn.Softmax(-1)]


def cifar_resnet(blocks, classes):
    body = [Block(i, o, s) for width, before in ((16, 16), (32, 16), (64, 32))
            for i, o, s in [(before, width, 1 if width == 16 else 2)] + [(width, width, 1)] * (blocks - 1)]
    return nn.Sequential(conv(3, 16, 3), *body, *head(64, classes))


def dscnn():
    body = [m for _ in range(4) for m in (conv(64, 64, 3, 1, 64), conv(64, 64, 1))]
    return nn.Sequential(nn.ZeroPad2d((1, 1, 4, 5)), nn.Conv2d(1, 64, (10, 4), 2), nn.ReLU(), *body, *head(64, 12))


def separable(plan, c):
    return [m for i, o, s in plan for m in (conv(c(i), c(i), 3, s, c(i)), conv(c(i), c(o), 1))]


V1 = [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)] + [(512, 512, 1)] * 5 + [(512, 1024, 2), (1024, 1024, 1)]
FD = [(32, 64, 2), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)] + [(512, 512, 1)] * 4 + [(512, 1024, 1)]


def mobilenet_v1(alpha, classes, plan=V1, channels=3):
    c = lambda n: int(n * alpha)
    return nn.Sequential(conv(channels, c(32), 3, 2), *separable(plan, c), *head(c(1024), classes))


def autoencoder():
    sizes = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    return nn.Sequential(*[m for i, o in zip(sizes, sizes[1:]) for m in (nn.Linear(i, o), nn.ReLU())][:-1])


class UNet(nn.Module):
    """Four levels from 64 channels, transposed convolutions up: unet-camvid-onnx-0001 (31.03 M parameters, 12 classes)."""

    def __init__(self):
        super().__init__()
        two = lambda i, o: nn.Sequential(conv(i, o, 3), conv(o, o, 3))
        widths = [64, 128, 256, 512, 1024]
        self.down = nn.ModuleList([two(i, o) for i, o in zip([3] + widths, widths)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(i, i // 2, 2, 2) for i in widths[:0:-1]])
        self.join = nn.ModuleList([two(i, i // 2) for i in widths[:0:-1]])
        self.last = nn.Conv2d(64, 12, 1)

    def forward(self, x):
        kept = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for up, join, side in zip(self.up, self.join, kept[-2::-1]):
            x = join(torch.cat([up(x), side], 1))
        return self.last(x)


class SsdMobileNet(nn.Module):
    """ssd_mobilenet_v1_coco: MobileNetV1 at 300², four extra pairs, 1×1 heads of 91 classes (6.81 M parameters)."""

    def __init__(self):
        super().__init__()
        c = lambda n: n
        self.a = nn.Sequential(conv(3, 32, 3, 2), *separable(V1[:11], c))
        self.b = nn.Sequential(*separable(V1[11:], c))
        extra = lambda i, m, o: nn.Sequential(conv(i, m, 1), conv(m, o, 3, 2))
        self.extra = nn.ModuleList([extra(1024, 256, 512), extra(512, 128, 256), extra(256, 128, 256), extra(256, 64, 128)])
        sides = list(zip([512, 1024, 512, 256, 256, 128], [3, 6, 6, 6, 6, 6]))
        self.box = nn.ModuleList([nn.Conv2d(i, 4 * n, 1) for i, n in sides])
        self.score = nn.ModuleList([nn.Conv2d(i, 91 * n, 1) for i, n in sides])

    def forward(self, x):
        kept = [self.a(x)]
        kept.append(self.b(kept[0]))
        for layer in self.extra:
            kept.append(layer(kept[-1]))
        heads = lambda layers: [layer(side) for layer, side in zip(layers, kept)]
        return heads(self.box), [torch.sigmoid(score) for score in heads(self.score)]


class Csp(nn.Module):
    def __init__(self, i, o, n, shortcut, dw):
        super().__init__()
        m = o // 2
        wide = (lambda: nn.Sequential(conv(m, m, 3, 1, m), conv(m, m, 1))) if dw else (lambda: conv(m, m, 3))
        self.a, self.b, self.c, self.shortcut = conv(i, m, 1), conv(i, m, 1), conv(2 * m, o, 1), shortcut
        self.m = nn.ModuleList([nn.Sequential(conv(m, m, 1), wide()) for _ in range(n)])

    def forward(self, x):
        y = self.a(x)
        for block in self.m:
            y = y + block(y) if self.shortcut else block(y)
        return self.c(torch.cat([y, self.b(x)], 1))


class Spp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.b = conv(c, c // 2, 1), conv(c * 2, c, 1)

    def forward(self, x):
        x = self.a(x)
        pools = [nn.functional.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13)]
        return self.b(torch.cat([x, *pools], 1))


class YoloX(nn.Module):
    """YOLOX "lite" of edgeai-mmdetection: ReLU, a strided convolution for the focus layer, `dw` for nano."""

    def __init__(self, depth, width, dw=False):
        super().__init__()
        c, n = lambda k: int(k * width), lambda k: max(round(k * depth), 1)
        step = (lambda i, o: nn.Sequential(conv(i, i, 3, 2, i), conv(i, o, 1))) if dw else (lambda i, o: conv(i, o, 3, 2))
        csp = lambda i, o, k, s: Csp(c(i), c(o), n(k), s, dw)
        self.stem = conv(3, c(64), 3, 2)
        self.d3 = nn.Sequential(step(c(64), c(128)), csp(128, 128, 3, True), step(c(128), c(256)), csp(256, 256, 9, True))
        self.d4 = nn.Sequential(step(c(256), c(512)), csp(512, 512, 9, True))
        self.d5 = nn.Sequential(step(c(512), c(1024)), Spp(c(1024)), csp(1024, 1024, 3, False))
        self.l0, self.p4 = conv(c(1024), c(512), 1), csp(1024, 512, 3, False)
        self.l1, self.p3 = conv(c(512), c(256), 1), csp(512, 256, 3, False)
        self.s2, self.n3 = step(c(256), c(256)), csp(512, 512, 3, False)
        self.s1, self.n4 = step(c(512), c(512)), csp(1024, 1024, 3, False)
        three = (lambda: nn.Sequential(conv(c(256), c(256), 3, 1, c(256)), conv(c(256), c(256), 1))) if dw else (lambda: conv(c(256), c(256), 3))
        self.heads = nn.ModuleList([nn.ModuleList([conv(c(k), c(256), 1), nn.Sequential(three(), three()), nn.Sequential(three(), three()),
                                                   nn.Conv2d(c(256), 80, 1), nn.Conv2d(c(256), 4, 1), nn.Conv2d(c(256), 1, 1)]) for k in (256, 512, 1024)])

    def forward(self, x):
        x3 = self.d3(self.stem(x))
        x4 = self.d4(x3)
        x5 = self.d5(x4)
        double = lambda t: nn.functional.interpolate(t, scale_factor=2)
        f0 = self.l0(x5)
        f1 = self.l1(self.p4(torch.cat([double(f0), x4], 1)))
        p3 = self.p3(torch.cat([double(f1), x3], 1))
        p4 = self.n3(torch.cat([self.s2(p3), f1], 1))
        p5 = self.n4(torch.cat([self.s1(p4), f0], 1))
        return [self.head(h, p) for h, p in zip(self.heads, (p3, p4, p5))]

    def head(self, parts, x):
        stem, classes, boxes, score, box, has = parts
        x = stem(x)
        y = boxes(x)
        return torch.cat([box(y), torch.sigmoid(has(y)), torch.sigmoid(score(classes(x)))], 1)


def bert(layers, width, heads):
    from transformers import BertConfig, BertModel

    config = BertConfig(num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads, intermediate_size=4 * width)
    config._attn_implementation = "eager"
    return BertModel(config)


def timm_model(name):
    import timm

    return timm.create_model(name)


def yolo(name):
    from ultralytics.nn.tasks import DetectionModel

    net = DetectionModel(f"{name}.yaml", verbose=False).fuse(verbose=False)  # what is exported: one head, norms folded
    net.model[-1].export, net.model[-1].format = True, "onnx"
    return net


def square(size):
    return (1, 3, size, size)


IMAGE = square(224)
MODELS = {
    "mlperf-tiny-ic": (lambda: nn.Sequential(conv(3, 16, 3), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2), *head(64, 10)), square(32)),
    "mlperf-tiny-kws": (dscnn, (1, 1, 49, 10)),
    "mlperf-tiny-vww": (lambda: mobilenet_v1(0.25, 2), square(96)),
    "mlperf-tiny-ad": (autoencoder, (1, 640)),
    "cifar_resnet32": (lambda: cifar_resnet(5, 100), square(32)),
    "unet_camvid": (UNet, (1, 3, 368, 480)),
    "ssd_mobilenet_v1": (SsdMobileNet, square(300)),
    "bert_base_128": (lambda: bert(12, 768, 12), (1, 128)),
    "bert_large_384": (lambda: bert(24, 1024, 16), (1, 384)),
    "yolox_nano_416": (lambda: YoloX(0.33, 0.25, True), square(416)),
    "yolox_tiny_416": (lambda: YoloX(0.33, 0.375), square(416)),
    "yolox_s_640": (lambda: YoloX(0.33, 0.5), square(640)),
    "regnet_x_400mf": (tv.regnet_x_400mf, IMAGE),
    "regnet_x_800mf": (tv.regnet_x_800mf, IMAGE),
    "efficientnet_b0": (tv.efficientnet_b0, IMAGE),
    "efficientnet_b4": (tv.efficientnet_b4, square(380)),
    "efficientnet_v2_s": (tv.efficientnet_v2_s, square(384)),
}
for alpha in (0.25, 0.5, 0.75, 1.0):
    MODELS[f"mobilenet_v1_{alpha}_224"] = (lambda alpha=alpha: mobilenet_v1(alpha, 1000), IMAGE)
for alpha in (0.25, 0.35, 0.5, 0.75, 1.4):
    MODELS[f"mobilenet_v2_{alpha}_224"] = (lambda alpha=alpha: tv.mobilenet_v2(width_mult=alpha), IMAGE)
MODELS["mobilenet_v2_0.35_128"] = (lambda: tv.mobilenet_v2(width_mult=0.35), square(128))
# with the heads of small data sets, as in the STM32 model zoo
for alpha, size in ((0.25, 224), (0.5, 224), (0.25, 96)):
    MODELS[f"mobilenet_v1_{alpha}_{size}_5"] = (lambda alpha=alpha: mobilenet_v1(alpha, 5), square(size))
MODELS["mobilenet_v1_0.25_96_1_5"] = (lambda: mobilenet_v1(0.25, 5, channels=1), (1, 1, 96, 96))
for alpha in (0.25, 0.5, 1.0):
    MODELS[f"mobilenet_v1_{alpha}_224_101"] = (lambda alpha=alpha: mobilenet_v1(alpha, 101), IMAGE)
for alpha, size, classes in ((0.35, 128, 5), (0.35, 224, 5), (0.35, 128, 101), (0.35, 224, 101), (1.0, 224, 101)):
    MODELS[f"mobilenet_v2_{alpha}_{size}_{classes}"] = (lambda alpha=alpha, classes=classes: tv.mobilenet_v2(width_mult=alpha, num_classes=classes), square(size))
for size in (128, 224):
    for classes in (5, 101):
        MODELS[f"fdmobilenet_0.25_{size}_{classes}"] = (lambda classes=classes: mobilenet_v1(0.25, classes, FD), square(size))
        MODELS[f"squeezenet1_1_{size}_{classes}"] = (lambda classes=classes: tv.squeezenet1_1(num_classes=classes), square(size))
HUB = dict(densenet121="densenet121", googlenet="googlenet", inception_v3="inception_v3", mobilenet_v2="mobilenet_v2", regnet="regnet_x_3_2gf",
           regnet_y_800mf="regnet_y_800mf", resnext50="resnext50_32x4d", resnext101="resnext101_32x8d", shufflenet_v2="shufflenet_v2_x0_5",
           wideresnet50="wide_resnet50_2", vit="vit_b_16", mnasnet05="mnasnet0_5")
SAME = ("squeezenet1_0 squeezenet1_1 resnet18 resnet34 resnet50 resnet101 resnet152 densenet169 densenet201 densenet161 alexnet vgg11 vgg13 vgg16 vgg19 "
        "shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 mnasnet0_75 mnasnet1_0 mnasnet1_3 convnext_tiny convnext_base mobilenet_v3_large "
        "mobilenet_v3_small").split()
for name, make in {**HUB, **{name: name for name in SAME}}.items():
    more = dict(init_weights=False, aux_logits=False) if name in ("googlenet", "inception_v3") else {}
    MODELS[name] = (lambda make=make, more=more: getattr(tv, make)(**more), IMAGE)
TIMM = ("ese_vovnet19b_dw mixnet_s mnasnet_a1 mobilenetv2_050 mobilenetv2_110d mobilenetv3_large_100 mobilenetv3_small_050 repvgg_b0 regnetx_002 "
        "dla46_c dla46x_c dla60x_c semnasnet_100 mobilenetv4_conv_small").split()
for name in TIMM:
    MODELS[f"timm_{name}"] = (lambda name=name: timm_model(name), IMAGE)
for name, size in (("b0", 224), ("b1", 240), ("b2", 260)):
    MODELS[f"efficientnet_v2_{name}"] = (lambda name=name: timm_model(f"tf_efficientnetv2_{name}"), square(size))
for family, sizes in (("yolov8", "n"), ("yolo11", "nsmlx"), ("yolo26", "nsmlx")):
    for size in sizes:
        MODELS[f"{family}{size}"] = (lambda name=f"{family}{size}": yolo(name), square(640))

PUBLISHED = {"unet_camvid": 31.03e6, "ssd_mobilenet_v1": 6.807e6, "yolox_nano_416": 0.91e6, "yolox_tiny_416": 5.06e6, "yolox_s_640": 8.97e6,
             "fdmobilenet_0.25_224_5": 125477, "mlperf-tiny-ic": 78666, "mlperf-tiny-kws": 22604}

if __name__ == "__main__":
    with torch.no_grad():
        for name, (make, shape) in MODELS.items():
            if len(sys.argv) > 1 and name not in sys.argv[1:]:
                continue
            on_cpu = any(part in name for part in ("regnet", "yolov8", "yolo1", "yolo2"))  # these compute with tensors when they are made
            with torch.device("cpu" if on_cpu else "meta"):
                net = make().eval()
            net = net if name.startswith(("yolov8", "yolo1", "yolo2")) else net.to("meta")
            device = next(net.parameters()).device
            x = torch.zeros(shape, device=device, dtype=torch.long if name.startswith("bert") else torch.float)
            with Count() as count:
                net(x)
            count_of = sum(p.numel() for p in net.parameters())
            print(f"{name}: {count_of} parameters, {PUBLISHED.get(name, '')}", file=sys.stderr)
            print(f"  '{name}': [{', '.join(str(v) for v in count.f.values())}],")
