"""Optimizer references -> fixtures/optimizers.json: AdamW from PyTorch; Muon, clipping and schedules from their definitions.

Choices:
1. AdamW is torch.optim.AdamW itself (decoupled decay) run in float64 on float32 inputs; the gradients are given, not derived.
2. Muon follows Keller Jordan's description (kellerjordan.github.io/posts/muon): momentum buffer b = mu b + (1 - mu) g,
   Nesterov g + mu (b - g) in the same averaged form, five Newton-Schulz steps, scale sqrt(max(1, rows/cols)). All float64.
3. Schedules are closed forms, as factors of the peak learning rate at step s = 0, 1, ...; see each function.
"""

import math

import numpy as np
import torch

from fixture import Numbers, exact, spread, tensor, write

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def adamw(rng, steps=5):
    hyper = dict(lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    shapes = {'weight': (3, 4), 'bias': (4,)}
    parameters = {k: torch.tensor(spread(rng, d, -1, 1), requires_grad=True) for k, d in shapes.items()}
    initial = {k: tensor(p) for k, p in parameters.items()}
    optimizer = torch.optim.AdamW(parameters.values(), **hyper)
    trace = []
    for _ in range(steps):
        for k, p in parameters.items():
            p.grad = torch.tensor(spread(rng, shapes[k], -0.5, 0.5))
        gradients = {k: Numbers(p.grad) for k, p in parameters.items()}
        optimizer.step()
        trace.append(dict(gradients=gradients, parameters={k: Numbers(p) for k, p in parameters.items()}))
    beta1, beta2 = hyper['betas']
    return dict(learningRate=hyper['lr'], beta1=beta1, beta2=beta2, epsilon=hyper['eps'],
                weightDecay=hyper['weight_decay'], initial=initial, steps=trace)


def orthogonalize(m, steps=5, epsilon=1e-7):
    """X <- a X + (b A + c A²) X with A = X Xᵀ, from X = m / |m|, on the wide orientation."""
    a, b, c = NEWTON_SCHULZ
    x = m.T if m.shape[0] > m.shape[1] else m
    x = x / (x.norm() + epsilon)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if m.shape[0] > m.shape[1] else x


def muon(rng, rows, cols, steps=3, learning_rate=0.02, mu=0.95):
    p = torch.tensor(spread(rng, (rows, cols), -1, 1))
    momentum = torch.zeros_like(p)
    scale = max(1, rows / cols) ** 0.5
    initial, trace = tensor(p), []
    for _ in range(steps):
        g = torch.tensor(spread(rng, (rows, cols), -0.5, 0.5))
        momentum = mu * momentum + (1 - mu) * g
        update = scale * orthogonalize(mu * momentum + (1 - mu) * g)
        p = p - learning_rate * update
        trace.append(dict(gradient=Numbers(g), momentum=Numbers(momentum), update=Numbers(update), parameter=Numbers(p)))
    return dict(learningRate=learning_rate, momentum=mu, nesterov=True, newtonSchulzSteps=5, weightDecay=0,
                coefficients=list(NEWTON_SCHULZ), normEpsilon=1e-7, scale=scale, initial=initial, steps=trace)


def clipping(rng, max_norm):
    """PyTorch's rule: factor min(1, maxNorm / (norm + 1e-6)) over the norm of all gradients together."""
    gradients = [torch.tensor(spread(rng, d, -1, 1)) for d in ((3, 4), (5,))]
    before = [tensor(g) for g in gradients]
    leaves = [torch.zeros_like(g, requires_grad=True) for g in gradients]
    for leaf, g in zip(leaves, gradients):
        leaf.grad = g.clone()
    norm = torch.nn.utils.clip_grad_norm_(leaves, max_norm).item()
    return dict(maxNorm=max_norm, epsilon=1e-6, gradients=before, norm=norm, clipped=[Numbers(p.grad) for p in leaves])


def cosine(s, total, warmup, floor):
    """(s+1)/warmup while warming up; then floor + (1 - floor)(1 + cos(pi p))/2, p = (s - warmup)/(total - warmup)."""
    if s < warmup:
        return (s + 1) / warmup
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1, (s - warmup) / (total - warmup))))


def warmup_stable_decay(s, total, warmup, decay, floor):
    """Warm-up as above; 1 until total - decay; then a line that reaches `floor` at s = total."""
    if s < warmup:
        return (s + 1) / warmup
    return 1 - (1 - floor) * max(0, min(1, (s - (total - decay)) / decay))


def multi_step(s, total, warmup):
    """DeepSeek LLM: warm-up; 1; 0.316 from 80 % of the steps; 0.1 from 90 %."""
    if s < warmup:
        return (s + 1) / warmup
    return 1 if s < 0.8 * total else 0.316 if s < 0.9 * total else 0.1


def schedule(name, factor, **arguments):
    steps = range(arguments['total'] + 1)
    return dict(name=name, arguments=arguments, factors=Numbers(np.array([factor(s, **arguments) for s in steps], float)))


def main():
    rng = np.random.default_rng(20240501)
    write('optimizers.json', dict(
        torchVersion=torch.__version__,
        adamw=adamw(rng),
        muon=[muon(rng, 6, 4), muon(rng, 4, 6)],
        clipping=[clipping(rng, 1.0), clipping(rng, 100.0)],
        schedules=[
            schedule('cosine', cosine, total=40, warmup=5, floor=0.1),
            schedule('warmupStableDecay', warmup_stable_decay, total=40, warmup=5, decay=10, floor=0.0),
            schedule('multiStep', multi_step, total=40, warmup=5),
        ],
    ), max_bytes=60_000)


if __name__ == '__main__':
    main()
