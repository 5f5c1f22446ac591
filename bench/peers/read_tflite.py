"""LiteRT's answers on float files that Gaslaw reads but does not write.

    node dist/bench/tflite.js FOLDER && python bench/peers/read_tflite.py FOLDER/read src/formats/tflite/fixtures/read-answers.json

Needs ai-edge-litert, numpy. For each case its outputs, in the file's order.
"""
import json
import pathlib
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

answers = {}
for case in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    net = Interpreter(str(case.with_suffix(".tflite")), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    net.allocate_tensors()
    given = net.get_input_details()[0]
    net.set_tensor(given["index"], np.array(json.loads(case.read_text()), np.float32).reshape(given["shape"]))
    net.invoke()
    outputs = [net.get_tensor(o["index"]) for o in net.get_output_details()]
    answers[case.stem] = [dict(dims=list(y.shape), y=[float(f"{v:.7g}") for v in y.flatten()]) for y in outputs]

with open(sys.argv[2], "w") as file:
    file.write("{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in answers.items()) + "\n}\n")
