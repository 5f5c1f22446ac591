"""The cases of reference_kernels.py, one function a family."""
import ml_dtypes
import numpy as np
from onnx import TensorProto, numpy_helper

MS = "com.microsoft"


def elementwise(k):
    x = k.f32(2, 5)
    special = np.array([-np.inf, -7.5, -2.5, -0.5, -0.0, 0.5, 1.5, 2.5, 30, np.inf, np.nan], np.float32)
    add = lambda op, inputs, attributes=None, **kw: k.case("elementwise", op, inputs, attributes, **kw)
    for op in ("Abs", "Neg", "Sign", "Exp", "Sin", "Cos", "Tanh", "Sigmoid", "Erf", "Relu", "Softplus", "HardSwish"):
        add(op, [x])
    for op in ("Abs", "Neg", "Exp", "Tanh", "Sigmoid", "Floor", "Ceil", "Round", "Identity", "IsNaN", "IsInf"):
        add(op, [special])
    for op in ("Abs", "Neg", "Sign", "Relu"):
        add(op, [k.i64(-3, 0, 9007199254740993, -9007199254740995)])
    for op in ("Log", "Sqrt", "Reciprocal"):
        add(op, [k.f32(7, low=0.1, high=9)])
    add("Exp", [x.astype(np.float64)])
    add("Abs", [np.array([-128, 127, -1], np.int8)])
    add("IsInf", [special], {"detect_negative": 0})
    add("Not", [np.array([True, False])])
    for op, attributes in (("LeakyRelu", {}), ("LeakyRelu", {"alpha": 0.3}), ("Elu", {}), ("Elu", {"alpha": 2.0}),
                           ("HardSigmoid", {}), ("HardSigmoid", {"alpha": 0.5, "beta": 0.25})):
        add(op, [x], attributes)
    add("Gelu", [x], opset=20)
    add("Gelu", [x], {"approximate": "tanh"}, opset=20)
    for attributes in ({}, {"alpha": 1.7}):
        add("Swish", [x], attributes, opset=24)
        add("QuickGelu", [x], attributes, domain=MS)
    add("Gelu", [x], domain=MS)
    add("FastGelu", [x], domain=MS)
    add("FastGelu", [x, k.f32(5)], domain=MS)
    add("BiasGelu", [x, k.f32(5)], domain=MS)
    low, high = np.float32(-0.5), np.float32(0.75)
    add("Clip", [x, low, high])
    add("Clip", [x, None, high])
    add("Clip", [k.i64(-5, 0, 5), np.int64(-1), np.int64(3)])
    casts(k, add)


def casts(k, add):
    x = np.array([-3.7, -1.0, -0.2, 0, 0.5, 1, 2.5, 100.9], np.float32)
    for to in ("FLOAT16", "BFLOAT16", "DOUBLE", "INT32", "INT64", "BOOL", "INT8"):
        add("Cast", [x], {"to": getattr(TensorProto, to)})
    add("Cast", [np.array([0, 1, 200], np.uint8)], {"to": TensorProto.FLOAT})
    add("Cast", [k.i64(2**40 + 5, -1, 300)], {"to": TensorProto.INT32})
    add("Cast", [np.array([-1, 255, 256], np.int32)], {"to": TensorProto.UINT8})
    add("Cast", [np.array([1.00048828125, 65519, 2**-25, 3e-8], np.float32)], {"to": TensorProto.FLOAT16})
    wide = np.array([0.0625, 17, 19, 464, 500, -1000, 1e6, 1e-3], np.float32)
    for to in ("FLOAT8E4M3FN", "FLOAT8E5M2", "FLOAT8E4M3FNUZ", "FLOAT8E5M2FNUZ"):
        for saturate in (0, 1):
            add("Cast", [wide], {"to": getattr(TensorProto, to), "saturate": saturate}, believe="onnx")
    add("CastLike", [x, np.array([1], np.int32)])


def binary(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("binary", op, inputs, attributes, **kw)
    a, b = k.f32(2, 1, 3), k.f32(4, 1)
    for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        add(op, [a, b])
    m, n = k.i64(-7, 7, -7, 7, 6, -6), k.i64(3, 3, -3, -3, 3, 3)
    for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Equal", "Greater", "Less"):
        add(op, [m, n])
        add(op, [m.astype(np.int32), n.astype(np.int32)])
    for kind in (np.int64, np.int32, np.int8):
        add("Mod", [m.astype(kind), n.astype(kind)])
        add("Mod", [m.astype(kind), n.astype(kind)], {"fmod": 1})
    add("Mod", [np.array([-7.5, 7.5, 5.3], np.float32), np.array([2, -2, 1.1], np.float32)], {"fmod": 1})
    add("Mul", [np.array([2**31 - 1, 65537], np.int32), np.array([3, 65537], np.int32)])
    add("Mul", [k.i64(2**62, 2**33 + 1), k.i64(3, 2**33 + 1)])
    add("Pow", [k.f32(2, 3, low=0.1), k.f32(3)])
    add("Pow", [k.f32(4), k.i64(0, 1, 2, 3)])
    add("Pow", [k.i64(-2, 3, 5), k.i64(3, 2, 0)])
    add("PRelu", [k.f32(2, 3, 4), k.f32(3, 1)])
    add("Max", [np.array([1, np.nan, 3], np.float32), np.array([2, 2, np.nan], np.float32)])
    for op in ("Min", "Max", "Sum", "Mean"):
        add(op, [k.f32(2, 3), k.f32(3), k.f32(2, 1)])
        add(op, [k.f32(3)])
    p, q = np.array([True, True, False, False]), np.array([[True, False, True, False]])
    for op in ("And", "Or", "Xor", "Equal"):
        add(op, [p, q])
    add("Where", [np.array([[True], [False]]), k.f32(3), k.f32(2, 3)])
    add("Where", [p, k.i64(1, 2, 3, 4), np.int64(9)])


def products(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("products", op, inputs, attributes, **kw)
    for a, b in (((2, 3), (3, 4)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (3,)), ((2, 1, 2, 3), (4, 3, 2))):
        add("MatMul", [k.f32(*a), k.f32(*b)])
    add("MatMul", [k.ints((2, 3), -9, 9), k.ints((3, 2), -9, 9)])
    add("MatMul", [k.f32(2, 3).astype(np.float64), k.f32(3, 2).astype(np.float64)])
    add("Gemm", [k.f32(2, 3), k.f32(3, 4), k.f32(4)])
    add("Gemm", [k.f32(3, 2), k.f32(4, 3), k.f32(2, 1)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0})
    add("Gemm", [k.f32(2, 3), k.f32(3, 4)])
    for equation, shapes in (
        ("ij,jk->ik", [(2, 3), (3, 4)]), ("bij,bkj->bik", [(2, 3, 4), (2, 2, 4)]), ("ii->i", [(3, 3)]),
        ("ij,jk", [(2, 3), (3, 4)]), ("...ij,...jk->...ik", [(2, 1, 2, 3), (2, 3, 2)]), ("i,j->ij", [(2,), (3,)]),
        ("ijk->", [(2, 3, 2)]), ("bhqd,bhkd->bqhk", [(1, 2, 3, 2), (1, 2, 2, 2)]), ("ab,bc,cd->ad", [(2, 3), (3, 2), (2, 2)]),
        ("...a->a...", [(2, 3)]),
    ):
        add("Einsum", [k.f32(*s) for s in shapes], {"equation": equation})
    add("FusedMatMul", [k.f32(2, 3), k.f32(3, 2)], {"alpha": 0.25}, domain=MS)
    add("FusedMatMul", [k.f32(2, 3, 2), k.f32(2, 4, 3)], {"transA": 1, "transB": 1}, domain=MS)
    add("FusedMatMul", [k.f32(3, 2, 4), k.f32(2, 4, 2)], {"transBatchA": 1}, domain=MS)
    add("FusedMatMul", [k.f32(3, 2, 2, 4), k.f32(2, 2, 5, 4)], {"transBatchA": 1, "transB": 1}, domain=MS)
    add("FusedMatMul", [k.f32(4, 2, 3), k.f32(4, 2, 5)], {"transA": 1, "transBatchA": 1, "transBatchB": 1}, domain=MS)


def reductions(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("reductions", op, inputs, attributes, **kw)
    x = k.f32(2, 3, 4, low=0.1)
    for op in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSumExp"):
        for inputs, attributes in (([x, k.i64(1)], {}), ([x, k.i64(-1, 0)], {"keepdims": 0}), ([x], {}),
                                   ([x], {"noop_with_empty_axes": 1})):
            add(f"Reduce{op}", inputs, attributes, opset=20)
    for op in ("Sum", "Mean", "Max", "Min", "Prod", "SumSquare"):
        add(f"Reduce{op}", [k.ints((2, 3), -5, 6, np.int32), k.i64(1)], {}, opset=20)
    for op in ("Sum", "Max", "Min"):
        add(f"Reduce{op}", [k.ints((2, 3), -5, 6), k.i64(0)], {}, opset=20)
    y = np.array([[1, 3, 3], [2, 0, 0]], np.float32)
    for op in ("ArgMax", "ArgMin"):
        add(op, [y], {"axis": 1})
        add(op, [y], {"axis": -1, "select_last_index": 1, "keepdims": 0})
        add(op, [y])
    for attributes in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}):
        add("CumSum", [k.f32(2, 3), np.int64(1)], attributes)
    add("CumSum", [k.ints((2, 3), -5, 6), np.int64(-2)])
    add("TopK", [k.f32(2, 6), k.i64(3)], outputs=2)
    add("TopK", [k.f32(5, 2), k.i64(2)], {"axis": 0, "largest": 0}, outputs=2)
    add("TopK", [np.array([1, 3, 3, 1, 3], np.float32), k.i64(4)], outputs=2)
    add("TopK", [k.ints((6,), -5, 6), k.i64(3)], {"largest": 0}, outputs=2)


def normalization(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("normalization", op, inputs, attributes, **kw)
    x = k.f32(2, 3, 4)
    for op in ("Softmax", "LogSoftmax"):
        add(op, [x])
        add(op, [x], {"axis": 1})
        add(op, [x * 100])
    add("LayerNormalization", [x, k.f32(4), k.f32(4)], outputs=3)
    add("LayerNormalization", [x, k.f32(3, 4)], {"axis": 1, "epsilon": 0.01})
    add("LayerNormalization", [x.astype(np.float64), k.f32(4).astype(np.float64)])
    add("RMSNormalization", [x, k.f32(4)], opset=23)
    add("RMSNormalization", [x, k.f32(3, 4)], {"axis": 1, "epsilon": 0.01}, opset=23)
    add("SimplifiedLayerNormalization", [x, k.f32(4)], {"epsilon": 0.001}, believe="onnxruntime")
    add("SimplifiedLayerNormalization", [x, k.f32(4)], {"axis": -1, "stash_type": 1}, outputs=2, believe="onnxruntime")
    add("SkipSimplifiedLayerNormalization", [x, k.f32(2, 3, 4), k.f32(4)], {"epsilon": 1e-6}, domain=MS)
    for skip in (k.f32(2, 3, 4), k.f32(3, 4), k.f32(1, 3, 4)):
        add("SkipLayerNormalization", [x, skip, k.f32(4), k.f32(4), k.f32(4)], {"epsilon": 1e-5}, domain=MS)
    add("SkipLayerNormalization", [x, k.f32(2, 3, 4), k.f32(4)], {}, domain=MS)
    sums(k)
    losses(k, add)


def sums(k):
    """Outputs 1 and 2 (mean, inverse deviation) are not made by the CPU kernel: leave them out by name."""
    from onnx import helper
    x, skip = k.f32(2, 2, 4), k.f32(2, 2, 4)
    for op, inputs in (("SkipSimplifiedLayerNormalization", [x, skip, k.f32(4), k.f32(4)]),
                       ("SkipLayerNormalization", [x, skip, k.f32(4), k.f32(4), k.f32(4)])):
        model, feeds, node = k.model_of(op, inputs, {"epsilon": 1e-5}, 4, MS, 21)
        g = model.graph
        g.node[0].output[1] = g.node[0].output[2] = ""
        del g.output[1:3]
        y, total = k.run_ort(model, feeds)
        k.CASES["normalization"].append({
            "op": f"{MS}.{op}", "source": "onnxruntime", "inputs": [k.tensor_json(i) for i in inputs],
            "attributes": {a.name: k.attribute_json(a) for a in node.attribute},
            "outputs": [k.tensor_json(y, 6), None, None, k.tensor_json(total, 6)],
        })


def losses(k, add):
    scores, labels = k.f32(3, 4), np.array([0, 3, 2], np.int64)
    w = k.f32(4, low=0.2)
    for reduction in ("mean", "sum", "none"):
        add("SoftmaxCrossEntropyLoss", [scores, labels], {"reduction": reduction}, outputs=2)
        add("SoftmaxCrossEntropyLoss", [scores, labels, w], {"reduction": reduction, "ignore_index": 3})
    add("SoftmaxCrossEntropyLoss", [k.f32(2, 3, 4), k.ints((2, 4), 0, 3)], {"ignore_index": 1}, outputs=2)


def movement(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("movement", op, inputs, attributes, **kw)
    x = k.f32(2, 3, 4)
    for attributes in ({}, {"start": 1}, {"start": -2, "end": -1}, {"end": 9}):
        add("Shape", [x], attributes)
    add("Size", [x])
    for dims, attributes in (((6, 4), {}), ((0, -1), {}), ((-1,), {}), ((2, 2, 3, 2), {})):
        add("Reshape", [x, k.i64(*dims)], attributes)
    add("Reshape", [k.f32(0, 3), k.i64(3, 0)], {"allowzero": 1})
    for axis in (0, 1, 2, -1):
        add("Flatten", [x], {"axis": axis})
    add("Squeeze", [k.f32(1, 3, 1)])
    add("Squeeze", [k.f32(1, 3, 1), k.i64(-1)])
    add("Unsqueeze", [k.f32(2, 3), k.i64(0, -1)])
    add("Transpose", [x])
    add("Transpose", [x], {"perm": [1, 2, 0]})
    add("Expand", [k.f32(3, 1), k.i64(2, 1, 4)])
    add("Expand", [k.i64(7), k.i64(3)])
    add("Tile", [k.f32(2, 3), k.i64(2, 2)])
    add("Concat", [k.f32(2, 1), k.f32(2, 3)], {"axis": -1})
    add("Concat", [k.i64(1, 2), k.i64(3)], {"axis": 0})
    add("Split", [k.f32(2, 5), k.i64(2, 3)], {"axis": 1}, outputs=2)
    add("Split", [k.f32(5)], {"num_outputs": 2}, outputs=2)
    add("Split", [k.f32(4, 2)], {"axis": 0, "num_outputs": 2}, outputs=2)
    slices(k, add)
    pads(k, add)
    for inputs, attributes in (([x], {}), ([x], {"upper": 0}), ([x, np.int64(1)], {}), ([x, np.int64(-1)], {"upper": 0})):
        add("Trilu", inputs, attributes)
    add("Trilu", [k.ints((3, 3), 1, 9), np.int64(-1)])


def slices(k, add):
    x = k.f32(4, 5)
    big = 2**63 - 1
    for starts, ends, axes, steps in (
        ((1, 0), (3, 4), (0, 1), (1, 2)), ((-2,), (big,), (1,), None), ((4,), (-100,), (1,), (-1,)), ((1,), (3,), None, None),
        ((-1,), (-(2**63) + 1,), (-1,), (-2,)), ((3,), (1,), (0,), None), ((10, -10), (20, 2), (0, 1), (1, 1)),
    ):
        rest = [k.i64(*axes) if axes else None, k.i64(*steps) if steps else None]
        add("Slice", [x, k.i64(*starts), k.i64(*ends), *rest])


def pads(k, add):
    x = k.f32(3, 3)
    add("Pad", [x, k.i64(1, 0, 0, 2)])
    add("Pad", [x, k.i64(1, 0, 0, 2), np.float32(7)])
    add("Pad", [x, k.i64(2, 1), None, k.i64(1)])
    add("Pad", [x, k.i64(-1, 0, 1, -1)])
    for mode in ("reflect", "edge", "wrap"):
        add("Pad", [x, k.i64(2, 1, 1, 2)], {"mode": mode})
    add("Pad", [k.i64(1, 2), k.i64(1, 1), np.int64(5)])


def making(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("making", op, inputs, attributes, **kw)
    add("Constant", [], {"value": numpy_helper.from_array(k.f32(2, 2))})
    for name, value in (("value_float", 1.5), ("value_floats", [1.0, 2.5]), ("value_int", 3), ("value_ints", [3, 4])):
        add("Constant", [], {name: value})
    add("ConstantOfShape", [k.i64(2, 3)])
    add("ConstantOfShape", [k.i64(2)], {"value": numpy_helper.from_array(np.array([7], np.int64))})
    add("Range", [np.int64(1), np.int64(10), np.int64(3)])
    add("Range", [np.float32(5), np.float32(0), np.float32(-1.5)])
    add("Range", [np.int32(3), np.int32(1), np.int32(1)])
    add("EyeLike", [k.f32(3, 4)], {"k": 1})
    add("EyeLike", [k.f32(3, 2)], {"k": -1, "dtype": TensorProto.INT64})
    indices, values = k.i64(0, 2, -1, 5), np.array([0.5, 2], np.float32)
    for axis in (-1, 0):
        add("OneHot", [indices, np.int64(3), values], {"axis": axis})
    add("OneHot", [k.ints((2, 2), 0, 3, np.int32), np.int32(3), k.i64(0, 1)], {"axis": 1}, believe="onnx")
    add("NonZero", [np.array([[1, 0, 2], [0, 3, 0]], np.float32)])
    add("NonZero", [np.array([True, False, True])])
    add("NonZero", [np.float32(3)])


def indexing(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("indexing", op, inputs, attributes, **kw)
    x = k.f32(3, 4)
    add("Gather", [x, k.ints((2, 2), -3, 3)])
    add("Gather", [x, k.ints((2,), -4, 4, np.int32)], {"axis": -1})
    add("Gather", [x, np.int64(1)], {"axis": 1})
    add("GatherElements", [x, k.ints((2, 4), -3, 3)])
    add("GatherElements", [x, k.ints((3, 2), -4, 4)], {"axis": 1})
    add("GatherND", [x, np.array([[0, 1], [2, -1]])])
    add("GatherND", [x, np.array([[2], [0]])])
    add("GatherND", [k.f32(2, 3, 2), np.array([[1], [-1]])], {"batch_dims": 1})
    add("GatherND", [k.f32(2, 2, 3, 2), k.ints((2, 2, 2, 1), 0, 3)], {"batch_dims": 2})
    rows = np.array([[0, 1, 0, 2], [0, 0, 2, -1]], np.int64)
    for reduction in ("none", "add", "mul", "max", "min"):
        use = np.array([[0, 1, 2, -1]], np.int64) if reduction == "none" else rows
        add("ScatterElements", [x, use[:, :4], k.f32(*use.shape)], {"reduction": reduction})
        starts = np.array([[0], [2]]) if reduction == "none" else np.array([[0], [2], [0]])
        add("ScatterND", [x, starts, k.f32(len(starts), 4)], {"reduction": reduction})
    add("ScatterElements", [x, np.array([[0, 3], [-1, 1]]), k.f32(2, 2)], {"axis": 1})
    add("ScatterElements", [k.i64(1, 2, 3), k.i64(0, 0), k.i64(5, 6)], {"reduction": "add"})
    add("ScatterND", [x, np.array([[0, 1], [2, -1]]), k.f32(2)])
    cache, update = k.f32(2, 2, 4, 2), k.f32(2, 2, 2, 2)
    add("TensorScatter", [cache, update, k.i64(1, 2)], opset=24)
    add("TensorScatter", [cache, update, k.i64(3, 2)], {"mode": "circular"}, opset=24)
    add("TensorScatter", [cache, update], opset=24)
    add("TensorScatter", [k.f32(2, 4, 3), k.f32(2, 4, 1), k.i64(0, 2)], {"axis": -1}, opset=24)


def attention(k):
    add = lambda inputs, attributes=None, **kw: k.case("attention", "Attention", inputs, attributes, opset=23, **kw)
    q, kk, v = k.f32(1, 2, 3, 4), k.f32(1, 2, 4, 4), k.f32(1, 2, 4, 2)
    add([q, kk, v])
    add([q, kk, v], {"scale": 0.3, "is_causal": 1})
    add([q, kk, v, np.array([[1, 0, 1, 1], [1, 1, 1, 1], [0, 1, 0, 0]], bool)])
    add([q, kk, v, k.f32(1, 2, 3, 4)])
    add([q, kk, v, k.f32(2, 3, 4)])
    add([q, k.f32(1, 1, 4, 4), k.f32(1, 1, 4, 2)])
    add([k.f32(2, 3, 8), k.f32(2, 3, 4), k.f32(2, 3, 6)], {"q_num_heads": 4, "kv_num_heads": 2, "is_causal": 1})
    past = [k.f32(1, 2, 2, 4), k.f32(1, 2, 2, 2)]
    add([q, kk, v, None, *past], outputs=3)
    add([q, k.f32(1, 2, 3, 4), k.f32(1, 2, 3, 2), None, *past], {"is_causal": 1}, outputs=3)
    add([q, kk, v], {"softcap": 1.5})
    mask = np.array([[0, -1, 0, 0.5], [0, 0, 0, 0], [1, 0, 0, -2]], np.float32)
    for mode in (0, 1, 2, 3):
        add([q, kk, v, mask], {"softcap": 1.5, "qk_matmul_output_mode": mode}, outputs=4)
    add([q, kk, v], {"is_causal": 1, "qk_matmul_output_mode": 3}, outputs=4)
    rotary(k)
    multi_head(k)


def rotary(k):
    angles = k.f32(6, 2)
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    positions = np.array([[0, 1, 5], [3, 2, 0]], np.int64)
    for x, attributes in ((k.f32(2, 2, 3, 4), {}), (k.f32(2, 2, 3, 4), {"interleaved": 1}), (k.f32(2, 3, 8), {"num_heads": 2})):
        k.case("attention", "RotaryEmbedding", [x, cos, sin, positions], attributes, opset=23)
        k.case("attention", "RotaryEmbedding", [x, positions, cos, sin], attributes, domain=MS)
    k.case("attention", "RotaryEmbedding", [k.f32(2, 2, 3, 4), cos[positions], sin[positions]], {}, opset=23)
    partial = {"rotary_embedding_dim": 4, "num_heads": 2}
    k.case("attention", "RotaryEmbedding", [k.f32(2, 3, 12), cos, sin, positions], partial, opset=23)
    k.case("attention", "RotaryEmbedding", [k.f32(2, 3, 12), positions, cos, sin], partial, domain=MS)
    k.case("attention", "RotaryEmbedding", [k.f32(2, 3, 8), k.i64(2), cos, sin], {}, domain=MS)


def multi_head(k):
    add = lambda inputs, attributes=None, **kw: k.case(
        "attention", "MultiHeadAttention", inputs, {"num_heads": 2, **(attributes or {})}, domain=MS, **kw)
    q, kk, v = k.f32(2, 3, 8), k.f32(2, 4, 8), k.f32(2, 4, 8)
    add([q, kk, v])
    add([q, kk, v, k.f32(24)], {"scale": 0.4})
    add([q, kk, k.f32(2, 4, 4)])
    mask = np.array([[1, 1, 1, 0], [1, 0, 1, 1]], np.int32)
    add([q, kk, v, None, mask])
    add([q, kk, v, None, mask], {"mask_filter_value": -1.0})
    add([q, kk, v, None, np.array([3, 2], np.int32)])
    add([q, kk, v, None, k.ints((2, 3, 4), 0, 2, np.int32)])
    add([q, kk, v, None, None, k.f32(1, 2, 3, 4)])
    add([q, k.f32(2, 3, 8), k.f32(2, 3, 8)], {"unidirectional": 1})
    past = [k.f32(2, 2, 2, 4), k.f32(2, 2, 2, 4)]
    add([q, k.f32(2, 3, 8), k.f32(2, 3, 8), None, None, None, *past], outputs=3)
    add([q, k.f32(2, 3, 8), k.f32(2, 3, 8), None, None, None, *past], {"unidirectional": 1}, outputs=3)
    add([q, k.f32(2, 2, 4, 4), k.f32(2, 2, 4, 4)])


def group_query(k):
    """Rotated heads must be a multiple of 16 wide in ONNX Runtime's kernel."""
    def add(inputs, attributes=None, rows=None):
        heads = {"num_heads": 4 if inputs[3].shape[1] == 2 else 2, "kv_num_heads": inputs[3].shape[1]}
        k.case("group-query", "GroupQueryAttention", inputs, {**heads, **(attributes or {})}, 3, MS, rows=rows)

    lengths = lambda *n: np.array(n, np.int32)
    total = lambda n: np.array([n], np.int32)
    qkv = lambda b, s: [k.f32(b, s, 16), k.f32(b, s, 8), k.f32(b, s, 8)]
    prompt = [np.zeros((1, 1, 0, 8), np.float32)] * 2 + [lengths(2), total(3)]
    add([*qkv(1, 3), *prompt])
    add([k.f32(1, 3, 32), None, None, *prompt])
    add([*qkv(1, 3), *prompt], {"local_window_size": 2})
    add([*qkv(1, 3), *prompt], {"softcap": 1.5, "scale": 0.5})
    add([*qkv(1, 3), *prompt], {"smooth_softmax": 1})
    add([*qkv(1, 3), *prompt, None, None, None, None, k.f32(2)])
    add([*qkv(1, 3), *prompt, None, None, None, k.f32(1, 2, 3, 3)])
    add([*qkv(1, 3), *prompt, None, None, None, k.f32(1, 1, 3, 3)], {"softcap": 1.5})
    wide = [k.f32(2, 3, 32), k.f32(2, 3, 16), k.f32(2, 3, 16)]
    add([*wide, *[np.zeros((2, 2, 0, 8), np.float32)] * 2, lengths(2, 1), total(3)], rows=[3, 2])
    rotated_group_query(k, add, lengths, total)


def rotated_group_query(k, add, lengths, total):
    qkv = lambda b, s: [k.f32(b, s, 32), k.f32(b, s, 16), k.f32(b, s, 16)]
    angles = k.f32(12, 8)
    tables = [np.cos(angles).astype(np.float32).round(3), np.sin(angles).astype(np.float32).round(3)]
    rotary = {"do_rotary": 1}
    prompt = [np.zeros((1, 1, 0, 16), np.float32)] * 2 + [lengths(2), total(3)]
    add([*qkv(1, 3), *prompt, *tables], rotary)
    add([*qkv(1, 3), *prompt, *tables], {**rotary, "rotary_interleaved": 1})
    add([k.f32(1, 3, 64), None, None, *prompt, *tables], rotary)
    buffer = [np.zeros((2, 1, 5, 16), np.float32)] * 2
    add([*qkv(2, 3), *buffer, lengths(2, 1), total(3), *tables], rotary, rows=[3, 2])
    past = [k.f32(2, 1, 4, 16), k.f32(2, 1, 4, 16)]
    add([*qkv(2, 1), *past, lengths(4, 4), total(5), *tables], rotary)
    add([*qkv(2, 1), *past, lengths(3, 1), total(4), *tables], rotary)
    add([*qkv(2, 1), *past, lengths(3, 1), total(4), *tables], {**rotary, "local_window_size": 2})
    one = [x[:1] for x in past]
    add([*qkv(1, 2), *one, lengths(5), total(6), *tables], rotary)
    add([*qkv(1, 2), *one, lengths(5), total(6), *tables, np.array([[7, 9]], np.int64)], rotary)


def experts(k):
    def add(attributes, router, hidden, bias=True):
        e, inter, width = 4, 3, 4
        optional = lambda *d: k.f32(*d) if bias else None
        inputs = [k.f32(5, width), router, k.f32(e, hidden, width), optional(e, hidden), k.f32(e, width, inter), optional(e, width)]
        k.case("experts", "MoE", inputs, attributes, 1, MS)

    router = k.f32(5, 4)
    for activation in ("relu", "gelu", "silu", "identity"):
        add({"k": 2, "activation_type": activation}, router, 3)
    add({"k": 2, "normalize_routing_weights": 1}, router, 3, bias=False)
    swiglu = {"k": 2, "activation_type": "swiglu", "swiglu_fusion": 1}
    add(swiglu, router, 6)
    add({**swiglu, "normalize_routing_weights": 1, "activation_alpha": 1.702, "activation_beta": 1.0}, router, 6)
    add({**swiglu, "swiglu_limit": 0.7, "k": 1}, router, 6)


def quantization(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("quantization", op, inputs, attributes, **kw)
    x = np.array([[-2.5, -0.5, 0.5, 1.5], [2.5, 3.49, 300, -300]], np.float32)
    one, scale = np.float32(1), np.array([0.1, 0.5], np.float32)
    for zero in (np.uint8(3), np.int8(-2), np.uint16(5), np.int16(-5)):
        add("QuantizeLinear", [x, one, zero])
        add("DequantizeLinear", [np.array([0, 1, 100], zero.dtype), np.float32(0.25), zero])
    add("QuantizeLinear", [k.f32(2, 8), np.float32(0.1)])
    add("QuantizeLinear", [k.f32(2, 8), scale, np.array([1, -1], np.int8)], {"axis": 0})
    add("QuantizeLinear", [k.f32(3, 2), scale], {"axis": 1, "output_dtype": TensorProto.INT8})
    add("QuantizeLinear", [np.array([0.5, 500, -3.3], np.float32), one], {"output_dtype": TensorProto.FLOAT8E4M3FN}, believe="onnx")
    four = {"axis": 1, "block_size": 2}
    add("QuantizeLinear", [k.f32(2, 4), k.f32(2, 2, low=0.2), np.zeros((2, 2), ml_dtypes.int4)], four)
    add("QuantizeLinear", [k.f32(2, 4), k.f32(2, 2, low=0.2), np.full((2, 2), 7, ml_dtypes.uint4)], four)
    add("DequantizeLinear", [k.ints((2, 6), -128, 128, np.int8), scale], {"axis": 0})
    add("DequantizeLinear", [k.ints((2, 4), -8, 8, ml_dtypes.int4), k.f32(2, 2), k.ints((2, 2), -8, 8, ml_dtypes.int4)], four)
    add("DequantizeLinear", [k.ints((4, 3), 0, 16, ml_dtypes.uint4), k.f32(2, 3)], {"axis": 0, "block_size": 2})
    add("DequantizeLinear", [k.ints((3,), -1000, 1000, np.int32), np.float32(0.01)])
    for values in (k.f32(2, 5), k.f32(6, low=0.5), k.f32(6, high=-0.5), np.zeros(3, np.float32)):
        add("DynamicQuantizeLinear", [values], outputs=3)
    integers(k, add)
    blocks(k)


def integers(k, add):
    a, b = k.ints((2, 4), 0, 256, np.uint8), k.ints((4, 3), -128, 128, np.int8)
    add("MatMulInteger", [a, b])
    add("MatMulInteger", [a, b, np.uint8(120), np.int8(-3)])
    add("MatMulInteger", [a, b, np.uint8(120), np.array([1, -3, 5], np.int8)])
    add("MatMulInteger", [a, b.astype(np.uint8), np.uint8(3), np.array([3, 250, 0], np.uint8)])
    x = k.f32(3, 4)
    add("DynamicQuantizeMatMul", [x, b, np.float32(0.02)], domain=MS)
    add("DynamicQuantizeMatMul", [x, b, k.f32(3, low=0.01, high=0.05), k.ints((3,), -9, 9, np.int8), k.f32(3)], domain=MS)
    add("DynamicQuantizeMatMul", [x, b, np.float32(0.02), np.int8(7)], domain=MS)


def blocks(k):
    n, width, block = 3, 40, 16
    count = -(-width // block)
    for bits in (2, 4, 8):
        b = k.ints((n, count, block * bits // 8), 0, 256, np.uint8)
        attributes = {"N": n, "K": width, "bits": bits, "block_size": block}
        a, scales = k.f32(2, width), k.f32(n, count, low=0.05, high=0.2)
        zeros = k.ints((n, -(-count * bits // 8)), 0, 256, np.uint8)
        for inputs in ([a, b, scales], [a, b, scales, zeros], [a, b, scales, zeros, None, k.f32(n)],
                       [a, b, scales, np.round(k.f32(n, count, low=0, high=2**bits - 1))]):
            k.case("block-quantized", "MatMulNBits", inputs, attributes, 1, MS)
    gathers(k)


def gathers(k):
    indices = np.array([[2, 0]], np.int64)
    for bits in (2, 4, 8):
        width = 32 * bits // 8
        data, zeros = k.ints((4, width), 0, 256, np.uint8), k.ints((4, max(1, 2 * bits // 8)), 0, 256, np.uint8)
        attributes = {"bits": bits, "block_size": 16, "gather_axis": 0, "quantize_axis": 1}
        scales = k.f32(4, 2, low=0.05, high=0.2)
        k.case("block-quantized", "GatherBlockQuantized", [data, indices, scales], attributes, 1, MS)
        k.case("block-quantized", "GatherBlockQuantized", [data, indices, scales, zeros], attributes, 1, MS)
    for kind, low, high in ((ml_dtypes.int4, -8, 8), (ml_dtypes.uint4, 0, 16)):
        data, zeros = k.ints((3, 32), low, high, kind), k.ints((3, 2), low, high, kind)
        attributes = {"block_size": 16, "gather_axis": 0, "quantize_axis": 1}
        scales = k.f32(3, 2, low=0.05, high=0.2)
        k.case("block-quantized", "GatherBlockQuantized", [data, indices, scales], attributes, 1, MS)
        k.case("block-quantized", "GatherBlockQuantized", [data, indices, scales, zeros], attributes, 1, MS)


def add_all(k):
    for family in (elementwise, binary, products, reductions, normalization, movement, making, indexing, attention,
                   group_query, experts, quantization):
        family(k)
