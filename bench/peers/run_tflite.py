"""Runs files that Gaslaw wrote in LiteRT, and compiles them with Vela.

    node dist/bench/tflite.js FOLDER && python bench/peers/run_tflite.py FOLDER src/formats/tflite/fixtures/answers.json

Needs ai-edge-litert, ethos-u-vela, numpy. For each case: the SHA-256 of the file, LiteRT's answer in integers, in the file's own
order of axes, and how many of its operators Vela (Ethos-U55-128) leaves to the processor.
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

folder, answers = pathlib.Path(sys.argv[1]), {}


def run(path, x):
    net = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    net.allocate_tensors()
    i, o = net.get_input_details()[0], net.get_output_details()[0]
    scale, zero = i["quantization"]
    if list(i["shape"]) != list(x.shape):
        x = x.transpose(0, 2, 3, 1)
    net.set_tensor(i["index"], np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127).astype(np.int8))
    net.invoke()
    return net.get_tensor(o["index"]), o["quantization"]


for case in sorted(folder.glob("*.json")):
    path = case.with_suffix(".tflite")
    given = json.loads(case.read_text())
    y, (scale, zero) = run(path, np.array(given["data"], np.float32).reshape(given["dims"]))
    vela = subprocess.run(["vela", str(path), "--accelerator-config=ethos-u55-128", f"--output-dir={folder}/vela"], capture_output=True, text=True)
    left = re.search(r"CPU operators = (\d+)", vela.stdout)
    answers[case.stem] = dict(sha256=hashlib.sha256(path.read_bytes()).hexdigest(), shape=list(y.shape), scale=scale, zero=zero, y=y.flatten().tolist(),
                              velaLeaves=int(left.group(1)) if left else vela.stdout[-300:] + vela.stderr[-300:])
    print(case.stem, y.shape, "vela leaves", answers[case.stem]["velaLeaves"])

with open(sys.argv[2], "w") as file:
    file.write("{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in answers.items()) + "\n}\n")
