"""What ONNX Runtime and ONNX's own reference evaluator compute for every op of Gaslaw's list.

1. Each case runs in ONNX Runtime (optimizer off) and, where it knows the op, in ONNX's reference evaluator. ONNX
   Runtime's values are kept; every disagreement is printed. `believe` names the only program that a case runs in.
2. Outputs go to src/runtime/reference/fixtures/*.json, which the reference interpreter is tested against.

Needs: pip install onnx==1.23.2 onnxruntime==1.30.0 ml_dtypes
Usage: python bench/peers/reference_kernels.py
"""
import json
import math
import pathlib
import sys

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, str(pathlib.Path(__file__).parent))

OUT = pathlib.Path(__file__).parents[2] / "src/runtime/reference/fixtures"
MS = "com.microsoft"
KINDS = {1: "float", 2: "int", 3: "string", 4: "tensor", 6: "floats", 7: "ints", 8: "strings"}
rng = np.random.default_rng(7)
CASES = {}


def f32(*dims, low=-2.0, high=2.0):
    """Uniform values of two decimals, so that the file stays small."""
    return np.round(rng.uniform(low, high, dims), 2).astype(np.float32)


def ints(dims, low, high, dtype=np.int64):
    return rng.integers(low, high, dims).astype(dtype)


def i64(*values):
    return np.array(values, dtype=np.int64)


def dtype_name(array):
    if array.dtype.kind in "US" or array.dtype == object:
        return "string"
    name = array.dtype.name.replace("_", "")
    return name


def number(v, digits):
    """Shortest decimal of a float32, or `digits` significant digits of it."""
    if isinstance(v, str):
        return v
    if digits is None and isinstance(v, np.float32):
        v = float(str(v))
    v = float(v) if not isinstance(v, (int, np.integer, np.bool_)) else int(v)
    if isinstance(v, float):
        if math.isnan(v):
            return "nan"
        if math.isinf(v):
            return "inf" if v > 0 else "-inf"
        short = v if digits is None else float(f"{v:.{digits}g}")
        return int(short) if short == int(short) and abs(short) < 1e15 else short
    return v if abs(v) < 2**53 else str(v)


def tensor_json(array, digits=None):
    if array is None:
        return None
    array = np.asarray(array)
    flat = array.reshape(-1)
    wide = flat.astype(np.int32) if dtype_name(flat) in ("int4", "uint4") else flat
    plain = lambda v: v if isinstance(v, (str, np.float32)) else v.item() if hasattr(v, "item") else v
    values = [number(plain(v), digits) for v in wide]
    return {"dtype": dtype_name(array), "dims": list(array.shape), "data": values}


def attribute_json(a):
    kind = KINDS[a.type]
    value = helper.get_attribute_value(a)
    if kind == "tensor":
        return {"type": kind, "value": tensor_json(numpy_helper.to_array(value))}
    if kind == "string":
        value = value.decode()
    if kind == "strings":
        value = [v.decode() for v in value]
    if kind in ("ints", "floats", "strings"):
        value = list(value)
    return {"type": kind, "value": value}


def model_of(op, inputs, attributes, outputs, domain, opset):
    names = [f"i{k}" if x is not None else "" for k, x in enumerate(inputs)]
    while names and names[-1] == "":
        names.pop()
    node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], domain=domain, **attributes)
    fixed = lambda x: x.dtype in (ml_dtypes.int4, ml_dtypes.uint4)
    feeds = {n: x for n, x in zip(names, inputs) if x is not None and not fixed(x)}
    initializers = [numpy_helper.from_array(x, n) for n, x in zip(names, inputs) if x is not None and fixed(x)]
    info = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype) if x.dtype != object else 8, x.shape)
        for n, x in feeds.items()
    ]
    out = [onnx.ValueInfoProto(name=f"o{k}") for k in range(outputs)]
    graph = helper.make_graph([node], "g", info, out, initializer=initializers)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10), feeds, node


def run_ort(model, feeds):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options).run(None, feeds)


def run_onnx(model, feeds):
    return ReferenceEvaluator(model).run(None, feeds)


def attempt(run, *args):
    try:
        return [np.asarray(x) for x in run(*args)], ""
    except Exception as e:  # noqa: BLE001 - whatever either program cannot do is reported below
        return None, str(e).replace("\n", " ")[:160]


def agree(a, b):
    close = lambda x, y: x.shape == y.shape and (
        np.array_equal(x, y) if x.dtype.kind in "US" or x.dtype == object
        else np.allclose(x.astype(np.float64), y.astype(np.float64), rtol=2e-3, atol=2e-4, equal_nan=True)
    )
    return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))


def case(family, op, inputs, attributes=None, outputs=1, domain="", opset=21, believe=None, rows=None):
    """`rows`: keep only these leading indices of output 0 (padded rows have no defined value)."""
    attributes = attributes or {}
    inputs = [x if x is None else np.asarray(x) for x in inputs]
    model, feeds, node = model_of(op, inputs, attributes, outputs, domain, opset)
    results = {}
    if believe != "onnx":
        results["onnxruntime"] = attempt(run_ort, model, feeds)
    if domain == "" and believe != "onnxruntime":
        results["onnx"] = attempt(run_onnx, model, feeds)
    good = {k: v for k, (v, _) in results.items() if v is not None}
    label = f"{op} {json.dumps({k: str(v)[:30] for k, v in attributes.items()})}"
    if not good:
        print(f"NONE     {label}: { {k: e for k, (_, e) in results.items()} }")
        return
    if len(good) == 2 and not agree(good["onnx"], good["onnxruntime"]):
        print(f"DISAGREE {label}\n  onnx {[x.reshape(-1)[:6] for x in good['onnx']]} {[x.shape for x in good['onnx']]}"
              f"\n  ort  {[x.reshape(-1)[:6] for x in good['onnxruntime']]} {[x.shape for x in good['onnxruntime']]}")
    source = "onnxruntime" if "onnxruntime" in good else "onnx"
    CASES.setdefault(family, []).append({
        "op": f"{domain}.{op}" if domain else op,
        "source": source + ("+onnx" if len(good) == 2 else ""),
        "attributes": {a.name: attribute_json(a) for a in node.attribute},
        "inputs": [tensor_json(x) for x in inputs],
        "outputs": [tensor_json(x, 6) for x in good[source]],
        **({"rows": rows} if rows else {}),
    })


def write():
    OUT.mkdir(parents=True, exist_ok=True)
    for family, cases in CASES.items():
        text = "[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n"
        (OUT / f"{family}.json").write_text(text)
        print(f"{family}: {len(cases)} cases, {len(text)} bytes")


if __name__ == "__main__":
    import reference_cases
    import reference_image_cases

    reference_cases.add_all(sys.modules["__main__"])
    reference_image_cases.add_all(sys.modules["__main__"])
    write()
