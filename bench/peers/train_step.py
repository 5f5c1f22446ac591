"""PyTorch's training step of a Llama-shaped decoder, for timing beside Gaslaw's own.

Choices:
1. Eager, float32, two threads by default; written with what PyTorch offers for speed on CPU: F.rms_norm,
   F.scaled_dot_product_attention (never a materialised mask), fused AdamW, gradients set to None.
2. Weight decay on matrices only; the gradient norm is clipped to 1 before the update.
3. A line protocol instead of a timing loop, so that a driver can run A B A B on one machine: after the warm-up one JSON
   line {"ready": true, ...}; then "step N" on stdin runs N steps and answers {"seconds", "loss", "peakRssBytes"};
   "quit" ends. Data are made before the clock starts. `rssAfterImportBytes` says what importing PyTorch alone holds.
4. The data are chains x -> 3x + 7 (mod vocab) from random starts: a fact the model learns, so the loss must fall.

Shape legend: B batch, T sequence, C model width, H query heads, G key-value heads, D head size, V vocabulary.
"""

import argparse
import json
import resource
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SHAPES = {  # FFN 1408 brings the second to 29.9M
    '3.7m': dict(vocab=512, width=256, layers=4, heads=4, ffn=768, batch=16, sequence=256, learning_rate=1e-3),
    '30m': dict(vocab=4096, width=512, layers=8, heads=8, ffn=1408, batch=16, sequence=256, learning_rate=3e-4),
}
EPSILON = 1e-5


def rope_tables(T, D, base=10000.0):
    """cos and sin, each [T, D/2]."""
    angle = torch.outer(torch.arange(T).float(), base ** (-torch.arange(0, D, 2).float() / D))
    return angle.cos(), angle.sin()


def rotate(x_BHTD, cos, sin):
    """Half rotation: (a, b) -> (a cos - b sin, b cos + a sin) where a and b are the halves of a head."""
    a, b = x_BHTD.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, EPSILON)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.D = c.width // c.heads
        self.grouped = c.kv_heads != c.heads
        self.q_proj = nn.Linear(c.width, c.heads * self.D, bias=False)
        self.k_proj = nn.Linear(c.width, c.kv_heads * self.D, bias=False)
        self.v_proj = nn.Linear(c.width, c.kv_heads * self.D, bias=False)
        self.o_proj = nn.Linear(c.heads * self.D, c.width, bias=False)

    def forward(self, x_BTC, cos, sin):
        q, k, v = (
            p(x_BTC).unflatten(-1, (-1, self.D)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        y_BHTD = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.grouped)
        return self.o_proj(y_BHTD.transpose(1, 2).flatten(-2))


class Mlp(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c.width, c.ffn, bias=False)
        self.up_proj = nn.Linear(c.width, c.ffn, bias=False)
        self.down_proj = nn.Linear(c.ffn, c.width, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = RmsNorm(c.width), RmsNorm(c.width)
        self.self_attn, self.mlp = Attention(c), Mlp(c)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab, c.width)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = RmsNorm(c.width)
        self.lm_head = nn.Linear(c.width, c.vocab, bias=False)
        self.cos, self.sin = rope_tables(c.sequence, c.width // c.heads)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids_BT, targets_BT):
        x = self.embed_tokens(ids_BT)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits_BTV = self.lm_head(self.norm(x))
        return F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())


def adamw(model, learning_rate):
    """AdamW in two groups: matrices decay, norm weights do not."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{'params': matrices, 'weight_decay': 0.1}, {'params': vectors, 'weight_decay': 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95), eps=1e-8, fused=True)


def chains(c):
    """ids and targets [B, T] of x -> 3x + 7 (mod vocab)."""
    columns = [torch.randint(c.vocab, (c.batch,))]
    for _ in range(c.sequence):
        columns.append((3 * columns[-1] + 7) % c.vocab)
    all_ids = torch.stack(columns, 1)
    return all_ids[:, :-1].contiguous(), all_ids[:, 1:].contiguous()


def train(model, optimizer, batches):
    """One update per batch; the last loss as a tensor."""
    parameters = list(model.parameters())
    for ids, targets in batches:
        loss = model(ids, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def peak_rss_bytes():
    """ru_maxrss is in kilobytes on Linux, in bytes on macOS."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def reply(**fields):
    print(json.dumps(fields), flush=True)


def parallel_summary():
    """Threads and BLAS of this build, from PyTorch's own report."""
    keep = ('get_num_threads', 'get_max_threads', 'parallel backend', 'Version', 'MKL-DNN v')
    return [line.strip() for line in torch.__config__.parallel_info().splitlines() if any(k in line for k in keep)]


def serve(c):
    base_rss = peak_rss_bytes()
    torch.manual_seed(c.seed)
    model = Llama(c)
    optimizer = adamw(model, c.learning_rate)
    train(model, optimizer, [chains(c) for _ in range(c.warmup)])
    parameters = sum(p.numel() for p in model.parameters())
    reply(ready=True, torchVersion=torch.__version__, threads=torch.get_num_threads(), parallel=parallel_summary(),
          cpuCapability=torch.backends.cpu.get_cpu_capability(), parameters=parameters, config=vars(c),
          tokensPerStep=c.batch * c.sequence, rssAfterImportBytes=base_rss)
    for line in sys.stdin:
        words = line.split()
        if words == ['quit']:
            return
        if len(words) != 2 or words[0] != 'step' or not words[1].isdigit() or int(words[1]) < 1:
            reply(error=f'"{line.strip()}" is not a command: write "step N" or "quit"')
            continue
        batches = [chains(c) for _ in range(int(words[1]))]
        start = time.perf_counter()
        loss = train(model, optimizer, batches).item()
        reply(seconds=time.perf_counter() - start, loss=loss, peakRssBytes=peak_rss_bytes())


def matmul_rate(size, threads, seconds=3.0):
    """f32 size³ matmul: best and median GFLOP/s over repeated products into one buffer."""
    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    for _ in range(5):
        torch.mm(a, b, out=out)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        times.append(time.perf_counter() - start)
    times.sort()
    rate = [2 * size**3 / t / 1e9 for t in (times[0], times[len(times) // 2])]
    reply(matmulSize=size, threads=threads, bestGflops=rate[0], medianGflops=rate[1], repeats=len(times),
          torchVersion=torch.__version__, parallel=parallel_summary())


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--shape', choices=SHAPES, default='3.7m', help='a preset; the flags below change it')
    for name, value in SHAPES['3.7m'].items():
        p.add_argument('--' + name.replace('_', '-'), type=type(value))
    p.add_argument('--kv-heads', type=int, help='default: as many as heads')
    p.add_argument('--warmup', type=int, default=3, help='steps before the ready line')
    p.add_argument('--threads', type=int, default=2)
    p.add_argument('--seed', type=int, default=1)
    p.add_argument('--matmul', action='store_true', help='report the f32 matmul rate instead and exit')
    p.add_argument('--matmul-size', type=int, default=1024)
    c = p.parse_args()
    torch.set_num_threads(c.threads)
    if c.matmul:
        return matmul_rate(c.matmul_size, c.threads)
    for name, value in SHAPES[c.shape].items():
        if getattr(c, name) is None:
            setattr(c, name, value)
    c.kv_heads = c.kv_heads or c.heads
    serve(c)


if __name__ == '__main__':
    main()
