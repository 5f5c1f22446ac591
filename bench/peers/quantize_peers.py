"""Quantizes ONNX models with ONNX Runtime's quantizer, NNCF and AIMET: the peers of `npm run bench -- quantize --python PY`.

quantize_peers.py JOB.json, where JOB is {model, out, seed, feeds: [{name, dtype, dims, file}]}: each input of all calibration samples is
raw little-endian numbers in a file. Each line of stdin is a case {peer, variant}; writes OUT/PEER-VARIANT.onnx and answers with a line
{peer, variant, seconds, file} or {peer, variant, error}. A peer's modules are loaded before its time starts.
Needs onnxruntime, nncf, aimet_onnx (2.42 wants setuptools) and onnx. Nothing here sees a label.
"""

import copy
import importlib
import json
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx

BATCH = 32
# AIMET's default is 10,000 a layer; so many end in minutes on two cores
ADAROUND_ITERATIONS = 500


def batches(feeds):
    count = next(iter(feeds.values())).shape[0]
    return [{k: v[i : i + BATCH] for k, v in feeds.items()} for i in range(0, count, BATCH)]


def onnxruntime_static(model, feeds, variant, out):
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.rewind()

        def rewind(self):
            self.left = iter(batches(feeds))

        def get_next(self):
            return next(self.left, None)

    prepared = out + ".prepared.onnx"
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    methods = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}
    width, method = variant.split("-")
    quantize_static(
        prepared,
        out,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8 if width == "w4a8" else QuantType.QInt8,
        weight_type=QuantType.QInt4 if width == "w4a8" else QuantType.QInt8,
        calibrate_method=methods[method],
    )
    os.remove(prepared)


def nncf_quantize(model, feeds, variant, out):
    import nncf

    loaded = onnx.load(model)
    data = nncf.Dataset(batches(feeds))
    fast = variant != "w8a8-bias"
    options = {"model_type": nncf.ModelType.TRANSFORMER} if "transformer" in variant else {}
    onnx.save(nncf.quantize(loaded, data, subset_size=len(batches(feeds)), fast_bias_correction=fast, **options), out)


def aimet(model, feeds, variant, out):
    import aimet_onnx
    from aimet_onnx.quantsim import QuantizationSimModel

    width, method = variant.split("-")
    sim = QuantizationSimModel(
        copy.deepcopy(onnx.load(model)),
        param_type=aimet_onnx.int4 if width == "w4a8" else aimet_onnx.int8,
        activation_type=aimet_onnx.int8,
        quant_scheme="tf_enhanced" if method == "enhanced" else "min_max",
    )
    data = batches(feeds)
    if method == "seqmse":
        aimet_onnx.apply_seq_mse(sim, data)
    if method == "adaround":
        aimet_onnx.apply_adaround(sim, data, num_iterations=ADAROUND_ITERATIONS)
    sim.compute_encodings(data)
    onnx.save(sim.to_onnx_qdq(), out)


PEERS = {"onnxruntime": onnxruntime_static, "nncf": nncf_quantize, "aimet": aimet}
MODULES = {"onnxruntime": "onnxruntime.quantization.shape_inference", "nncf": "nncf", "aimet": "aimet_onnx.quantsim"}


def answer(job, feeds, peer, variant):
    out = os.path.join(job["out"], f"{peer}-{variant}.onnx")
    try:
        importlib.import_module(MODULES[peer])
        np.random.seed(job["seed"])
        start = time.perf_counter()
        PEERS[peer](job["model"], feeds, variant, out)
        return {"peer": peer, "variant": variant, "seconds": time.perf_counter() - start, "file": out}
    except Exception as error:  # one peer's failure is a result
        return {"peer": peer, "variant": variant, "error": f"{type(error).__name__}: {error}"[:300]}


def main():
    job = json.load(open(sys.argv[1]))
    feeds = {f["name"]: np.fromfile(f["file"], dtype=f["dtype"]).reshape(f["dims"]) for f in job["feeds"]}
    stdout = os.dup(1)
    os.dup2(2, 1)
    for line in sys.stdin:
        case = json.loads(line)
        os.write(stdout, (json.dumps(answer(job, feeds, case["peer"], case["variant"])) + "\n").encode())


if __name__ == "__main__":
    main()
