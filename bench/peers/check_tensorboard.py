"""Reads a run's event files with TensorBoard's own reader and compares every scalar with metrics.jsonl.

python check_tensorboard.py RUN_FOLDER     (pip install tensorboard)
"""

import json
import math
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def float32(x):
    return struct.unpack('f', struct.pack('f', x))[0]


def expected(run):
    """{stage: {name: [(step, value), …]}} of the metrics."""
    stages = {}
    for line in (run / 'metrics.jsonl').read_text().splitlines():
        metrics = json.loads(line)
        stage, step = metrics.pop('stage'), metrics.pop('step')
        metrics.pop('time')
        for name, value in metrics.items():
            number = math.nan if value is None else float32(value)
            stages.setdefault(stage, {}).setdefault(name, []).append((step, number))
    return stages


def found(folder):
    events = EventAccumulator(str(folder), size_guidance={'scalars': 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()['scalars']}


def main():
    run = Path(sys.argv[1])
    stages = expected(run)
    assert sorted(p.name for p in (run / 'tensorboard').iterdir()) == sorted(stages)
    count = 0
    for stage, metrics in stages.items():
        got = found(run / 'tensorboard' / stage)
        assert repr(sorted(got.items())) == repr(sorted(metrics.items())), stage  # repr: NaN is NaN
        count += sum(map(len, metrics.values()))
    print(f'{len(stages)} stages, {count} scalars: TensorBoard reads what metrics.jsonl says')


if __name__ == '__main__':
    main()
