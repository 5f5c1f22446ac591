"""Distillation losses by PyTorch -> fixtures/distillation.json: values and gradients towards the student.

Choices:
1. Formulas are of the papers, each written here in PyTorch's own terms (kl_div, normalize, pdist by cdist, smooth_l1_loss,
   cross_entropy), so that nothing but the formula is shared with Gaslaw.
2. `gradient` is that of Σ loss · cotangent for losses with a value an example, of the loss for scalars.
"""

import numpy as np
import torch
import torch.nn.functional as F

from fixture import spread, tensor, write

T = 4.0


def logit(s, t, _):
    return T**2 * F.kl_div(F.log_softmax(s / T, 1), F.softmax(t / T, 1), reduction='none').sum(1)


def decoupled(s, t, y):
    mask = F.one_hot(y, s.shape[1]).bool()

    def parts(z):
        p = F.softmax(z / T, 1)
        label = p[mask]
        rest = p[~mask].view(len(y), -1)
        return torch.stack([label, rest.sum(1)], 1), F.log_softmax((z / T)[~mask].view(len(y), -1), 1)

    (bs, os), (bt, ot) = parts(s), parts(t)
    target = F.kl_div(bs.log(), bt, reduction='none').sum(1)
    others = F.kl_div(os, ot, reduction='none', log_target=True).sum(1)
    return T**2 * (1.0 * target + 8.0 * others)


def hint(s, t, _):
    return F.mse_loss(s, t, reduction='none').flatten(1).mean(1)


def attention(s, t, _):
    a, b = (F.normalize(x.pow(2).mean(1).flatten(1)) for x in (s, t))
    return (a - b).pow(2).mean(1)


def distance(s, t, _):
    def relative(x):
        d = torch.cdist(x, x, compute_mode='donot_use_mm_for_euclid_dist')
        off = ~torch.eye(len(x), dtype=torch.bool)
        return torch.where(off, d, 0.0) / d[off].mean()

    return F.smooth_l1_loss(relative(s), relative(t))


def angle(s, t, _):
    def cosines(x):
        e = F.normalize(x[None] - x[:, None], dim=2)
        return torch.einsum('nid,njd->nij', e, e)

    return F.smooth_l1_loss(cosines(s), cosines(t))


def contrastive(s, t, _):
    return F.cross_entropy(F.normalize(s) @ F.normalize(t).T / 0.07, torch.arange(len(s)), reduction='none')


CASES = [
    ('logitDistillation', logit, (5, 7), (5, 7)),
    ('decoupledDistillation', decoupled, (5, 7), (5, 7)),
    ('featureHint', hint, (3, 4, 2, 5), (3, 4, 2, 5)),
    ('attentionTransfer', attention, (3, 4, 2, 5), (3, 6, 2, 5)),
    ('relationalDistance', distance, (6, 4), (6, 9)),
    ('relationalAngle', angle, (6, 4), (6, 9)),
    ('contrastive', contrastive, (6, 4), (6, 4)),
]


def main():
    cases = []
    for i, (name, loss, student, teacher) in enumerate(CASES):
        rng = np.random.default_rng(i)
        s = torch.tensor(spread(rng, student, -3, 3), requires_grad=True)
        t = torch.tensor(spread(rng, teacher, -3, 3))
        labels = torch.tensor(rng.integers(0, student[1], student[0]))
        value = loss(s, t, labels)
        cotangent = torch.tensor(spread(rng, value.shape)) if value.ndim else torch.tensor(1.0, dtype=torch.float64)
        (value * cotangent).sum().backward()
        cases.append(dict(name=name, student=tensor(s.detach()), teacher=tensor(t), labels=tensor(labels),
                          cotangent=tensor(cotangent), value=tensor(value.detach()), gradient=tensor(s.grad)))
    write('distillation.json', cases, 40_000)


if __name__ == '__main__':
    main()
