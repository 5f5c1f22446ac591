"""nanoGPT's CPU setting for character-level Shakespeare, in PyTorch, as a peer for Gaslaw's `text` recipe.

Written from the published description (Karpathy's nanoGPT: README "only have a macbook", defaults of its training
script); no code is taken from there. Choices:
1. GPT-2 blocks without biases (nanoGPT's default): LayerNorm before attention and MLP, erf GELU, learned positions, head tied to
   the token embedding. Weights N(0, 0.02), the two projections that end in the residual stream N(0, 0.02/sqrt(2 layers)).
2. AdamW betas .9/.99, decay .1 on matrices; fused, which nanoGPT itself turns on only on CUDA: the faster choice is the fairer peer.
3. Learning rate: linear warm-up over 100 iterations, then cosine from 1e-3 to 1e-4 at the last.
4. `seconds` is training alone (batches included, evaluation apart). `valLoss` is nanoGPT's own estimate, the mean of 20
   random batches, and so carries about ±0.02 of noise; `valLossFull` goes once through the whole validation split.

Shape legend: B batch, T block, C width, H heads, V vocabulary.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = Path(__file__).resolve().parents[3] / 'shared/data/tinyshakespeare.txt'


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_in = nn.Linear(width, 4 * width, bias=False)
        self.mlp_out = nn.Linear(4 * width, width, bias=False)

    def attend(self, x_BTC):
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in self.qkv(x_BTC).chunk(3, -1))
        y_BHTD = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.attention_out(y_BHTD.transpose(1, 2).flatten(-2))

    def forward(self, x):
        x = x + self.attend(self.norm_1(x))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.norm_2(x))))


class Gpt(nn.Module):
    def __init__(self, vocab, block, width, layers, heads):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(block, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                ends_in_residual = name.endswith(('attention_out.weight', 'mlp_out.weight'))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * layers) if ends_in_residual else 0.02)

    def forward(self, ids_BT, targets_BT):
        x = self.tokens(ids_BT) + self.positions.weight[: ids_BT.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits_BTV = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())


def read_splits(path):
    """The text as character ids, first 90 % and last 10 %, and the vocabulary's size."""
    text = path.read_text(encoding='utf-8')
    index = {c: i for i, c in enumerate(sorted(set(text)))}
    ids = torch.tensor([index[c] for c in text])
    cut = int(0.9 * len(ids))
    return ids[:cut], ids[cut:], len(index)


def random_batch(ids, batch, block):
    starts = torch.randint(len(ids) - block, (batch, 1))
    at = starts + torch.arange(block)
    return ids[at], ids[at + 1]


@torch.no_grad()
def sampled_loss(model, ids, c):
    return torch.stack([model(*random_batch(ids, c.batch, c.block)) for _ in range(c.eval_iterations)]).mean().item()


@torch.no_grad()
def full_loss(model, ids, block, batch=64):
    """Mean over every target of the split, in consecutive blocks that do not overlap; the last may be shorter."""
    blocks = (len(ids) - 1) // block
    end = blocks * block
    x, y = ids[:end].view(blocks, block), ids[1 : end + 1].view(blocks, block)
    total = sum(model(a, b).item() * b.numel() for a, b in zip(x.split(batch), y.split(batch)))
    if end < len(ids) - 1:
        total += model(ids[None, end:-1], ids[None, end + 1 :]).item() * (len(ids) - 1 - end)
    return total / (len(ids) - 1)


def learning_rate(step, c):
    if step < c.warmup:
        return c.learning_rate * (step + 1) / (c.warmup + 1)
    progress = (step - c.warmup) / (c.iterations - c.warmup)
    return c.min_learning_rate + 0.5 * (1 + math.cos(math.pi * progress)) * (c.learning_rate - c.min_learning_rate)


def adamw(model, c):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{'params': matrices, 'weight_decay': 0.1}, {'params': vectors, 'weight_decay': 0.0}]
    return torch.optim.AdamW(groups, lr=c.learning_rate, betas=(0.9, 0.99), fused=True)


def train(model, ids, val_ids, c):
    """Seconds of training; losses go to stderr every `--eval-every` iterations, off the clock."""
    optimizer, parameters, seconds = adamw(model, c), list(model.parameters()), 0.0
    for step in range(c.iterations):
        if c.eval_every and step % c.eval_every == 0:
            print(f'{step} val {sampled_loss(model, val_ids, c):.4f} {seconds:.1f} s', file=sys.stderr)
        start = time.perf_counter()
        for group in optimizer.param_groups:
            group['lr'] = learning_rate(step, c)
        model(*random_batch(ids, c.batch, c.block)).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds += time.perf_counter() - start
    return seconds


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('text', type=Path, nargs='?', default=TEXT, help='default: ../shared/data/tinyshakespeare.txt')
    for name, value in dict(layers=4, heads=4, width=128, block=64, batch=12, iterations=2000, warmup=100,
                            eval_iterations=20, eval_every=250, threads=2, seed=1337).items():
        p.add_argument('--' + name.replace('_', '-'), type=int, default=value)
    p.add_argument('--learning-rate', type=float, default=1e-3)
    p.add_argument('--min-learning-rate', type=float, default=1e-4)
    c = p.parse_args()
    torch.set_num_threads(c.threads)
    torch.manual_seed(c.seed)
    train_ids, val_ids, vocab = read_splits(c.text)
    model = Gpt(vocab, c.block, c.width, c.layers, c.heads)
    seconds = train(model, train_ids, val_ids, c)
    print(json.dumps(dict(
        seconds=seconds, valLoss=sampled_loss(model, val_ids, c), valLossFull=full_loss(model, val_ids, c.block),
        parameters=sum(q.numel() for q in model.parameters()), torchVersion=torch.__version__,
        threads=c.threads, iterations=c.iterations, seed=c.seed)))


if __name__ == '__main__':
    main()
