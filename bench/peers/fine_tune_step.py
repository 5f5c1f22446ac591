"""A training step of CIFAR's ResNet-20 in PyTorch, on request: "step N" on stdin answers {"seconds": [...], "processorSeconds": [...]}.

The network of bench/fine-tune.ts: shortcuts by stride and zero channels, batches of 64 random images, SGD with momentum, channels last
(the faster of PyTorch's layouts on a CPU), two threads. "quit" ends.
"""
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(2)


class Block(nn.Module):
    def __init__(self, ins, outs, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False), nn.BatchNorm2d(outs)
        self.conv2, self.bn2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False), nn.BatchNorm2d(outs)
        self.more, self.stride = (outs - ins) // 2, stride

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        return F.relu(x + y)


torch.manual_seed(0)
shapes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *[Block(*s) for s in shapes],
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(model.parameters(), 0.01, 0.9)
x = torch.randn(64, 3, 32, 32).to(memory_format=torch.channels_last)
labels = torch.arange(64) % 10


def step():
    wall, processor = time.perf_counter(), time.process_time()
    optimizer.zero_grad()
    F.cross_entropy(model(x), labels).backward()
    optimizer.step()
    return time.perf_counter() - wall, time.process_time() - processor


for _ in range(3):
    step()
print(json.dumps({"seconds": [], "processorSeconds": []}), flush=True)
for line in sys.stdin:
    words = line.split()
    if words == ["quit"]:
        break
    taken = [step() for _ in range(int(words[1]))]
    print(json.dumps({"seconds": [t[0] for t in taken], "processorSeconds": [t[1] for t in taken]}), flush=True)
