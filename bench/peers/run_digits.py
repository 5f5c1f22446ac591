"""Runs what recipe images made of npm's digits in LiteRT and OpenVINO, and compiles it with Vela.

    python bench/peers/run_digits.py runs/images-small-1 …

Needs ai-edge-litert, ethos-u-vela, openvino, numpy. A run's folder `compressed` holds `model.tflite` or `model.onnx` (a batch of one),
and `answers.bin` (`npm run bench -- digits --models RUN`): what Gaslaw's runtime says to each held-out digit. Prints for each run and program the
accuracy, how many digits get the same class, and the largest difference of a logit, in steps of the output's scale for integers.
"""
import csv
import json
import pathlib
import re
import subprocess
import sys

import numpy as np


def digits(path):
    records = np.fromfile(path, np.uint8).reshape(-1, 785)
    return records[:, 0], records[:, 1:].astype(np.float32).reshape(-1, 1, 28, 28) / 255


def compared(labels, wanted, got, step):
    return dict(
        accuracy=float((got.argmax(1) == labels).mean()),
        sameClass=int((got.argmax(1) == wanted.argmax(1)).sum()),
        digits=len(labels),
        largestDifference=float(np.abs(got - wanted).max() / step),
        equalLogits=float((np.abs(got - wanted) < 0.5 * step).mean()),
    )


def in_litert(path, labels, images, wanted):
    from ai_edge_litert.interpreter import Interpreter

    net = Interpreter(str(path))
    net.allocate_tensors()
    i, o = net.get_input_details()[0], net.get_output_details()[0]
    (scale, zero), (out_scale, out_zero) = i["quantization"], o["quantization"]
    integers = np.clip(np.rint(images / np.float32(scale)) + zero, -128, 127).astype(np.int8)
    got = []
    for x in integers.reshape(-1, *i["shape"]):
        net.set_tensor(i["index"], x[None].reshape(i["shape"]))
        net.invoke()
        got.append((net.get_tensor(o["index"])[0].astype(np.float32) - out_zero) * out_scale)
    return compared(labels, wanted, np.array(got), out_scale)


def in_openvino(path, labels, images, wanted):
    import openvino

    net = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    got = np.array([net(x[None])[0][0] for x in images])
    # the step of integer answers: the smallest distance between two of them
    values = np.unique(np.round(wanted, 6))
    return compared(labels, wanted, got, float(np.diff(values).min()))


def in_vela(path):
    out = path.parent / "vela"
    run = subprocess.run(
        [str(pathlib.Path(sys.executable).with_name("vela")), str(path), "--accelerator-config=ethos-u55-128", f"--output-dir={out}"],
        capture_output=True, text=True)
    if run.returncode != 0:
        return dict(compiles=False, error=(run.stdout + run.stderr)[-400:])
    left = re.search(r"CPU operators = (\d+)", run.stdout)
    with open(next(out.glob("*_summary_*.csv"))) as file:
        row = next(csv.DictReader(file))
    return dict(
        compiles=True,
        operatorsLeftToProcessor=int(left.group(1)),
        sramKiB=float(row["sram_memory_used"]),
        flashKiB=float(row["off_chip_flash_memory_used"]),
        milliseconds=1000 * float(row["inference_time"]),
    )


for run in map(pathlib.Path, sys.argv[1:]):
    folder = run / "compressed"
    labels, images = digits(run / "data" / "held-out.bin")
    wanted = np.fromfile(folder / "answers.bin", np.float32).reshape(len(labels), -1)
    report = dict(run=run.name, gaslaw=float((wanted.argmax(1) == labels).mean()))
    if (folder / "model.tflite").exists():
        report["litert"] = in_litert(folder / "model.tflite", labels, images, wanted)
        report["vela"] = in_vela(folder / "model.tflite")
    if (folder / "model.onnx").exists():
        report["openvino"] = in_openvino(folder / "model.onnx", labels, images, wanted)
    print(json.dumps(report))
