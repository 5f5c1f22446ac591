"""One SGD step of ResNet-20 with BatchNormalization in PyTorch: python fine_tune_torch.py cifar_resnet20_bn.onnx OUT.json

The ONNX file's nodes run as torch functions, with statistics of the batch; shape arithmetic runs in onnx's own evaluator. Input i of the batch is sin(1.7 i), label i mod 10.
Stored: the loss, and of every tensor that changes its first values afterwards and the norm of its change.
"""
import json
import sys

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

BATCH, RATE, MOMENTUM, DECAY = 4, 0.1, 0.9, 1e-4
torch.set_num_threads(1)
model = onnx.load(sys.argv[1])
values = {t.name: torch.tensor(numpy_helper.to_array(t)) for t in model.graph.initializer}
norms = [n for n in model.graph.node if n.op_type == "BatchNormalization"]
running = {name for n in norms for name in n.input[3:5]}
weights = {k: v.requires_grad_() for k, v in values.items() if v.dtype == torch.float32 and v.dim() > 0 and k not in running}
before = {k: v.detach().clone() for k, v in values.items()}


def run(node, x):
    a = {i.name: helper.get_attribute_value(i) for i in node.attribute}
    if all(not t.is_floating_point() for t in x):
        return torch.tensor(ReferenceEvaluator(node).run(None, dict(zip(node.input, (t.numpy() for t in x))))[0].copy())
    if node.op_type == "Conv":
        p = a.get("pads", [0, 0, 0, 0])
        return F.conv2d(x[0], x[1], x[2] if len(x) > 2 else None, a.get("strides", 1), p[:2], a.get("dilations", 1), a.get("group", 1))
    if node.op_type == "BatchNormalization":
        return F.batch_norm(x[0], x[3], x[4], x[1], x[2], True, 1 - a.get("momentum", 0.9), a.get("epsilon", 1e-5))
    if node.op_type == "Relu":
        return x[0].relu()
    if node.op_type == "Add":
        return x[0] + x[1]
    if node.op_type == "Gemm":
        return F.linear(x[0], x[1] if a.get("transB") else x[1].T, x[2])
    if node.op_type == "ReduceMean":
        axes = a["axes"] if "axes" in a else x[1].tolist()
        return x[0].mean(tuple(axes), keepdim=bool(a.get("keepdims", 1)))
    if node.op_type == "Slice":
        index = [slice(None)] * x[0].dim()
        for s, e, ax, st in zip(*(t.tolist() for t in x[1:5])):
            index[ax] = slice(s, min(e, x[0].shape[ax]), st)
        return x[0][tuple(index)]
    if node.op_type == "Pad":
        pads = x[1].tolist()
        half = len(pads) // 2
        return F.pad(x[0], [p for i in reversed(range(half)) for p in (pads[i], pads[i + half])])
    raise NotImplementedError(node.op_type)


size = BATCH * 3 * 32 * 32
x = np.sin(1.7 * np.arange(size)).astype(np.float32).reshape(BATCH, 3, 32, 32)
values[[i.name for i in model.graph.input if i.name not in values][0]] = torch.tensor(x)
for node in model.graph.node:
    values[node.output[0]] = run(node, [values[i] for i in node.input if i])
loss = F.cross_entropy(values[model.graph.output[0].name], torch.arange(BATCH) % 10)
optimizer = torch.optim.SGD(
    [{"params": [w for w in weights.values() if w.dim() > 1], "weight_decay": DECAY}, {"params": [w for w in weights.values() if w.dim() == 1]}],
    lr=RATE, momentum=MOMENTUM)
loss.backward()
optimizer.step()
changed = {}
for name in [*weights, *sorted(running)]:
    after = values[name].detach()
    if weights.get(name) is not None and weights[name].grad is None:
        continue
    changed[name] = {"first": after.flatten()[:3].tolist(), "change": float((after.double() - before[name].double()).norm())}
json.dump({"batch": BATCH, "rate": RATE, "momentum": MOMENTUM, "decay": DECAY, "loss": float(loss), "tensors": changed}, open(sys.argv[2], "w"))
print(float(loss), len(changed))
