"""Cases of reference_kernels.py for convolutional, recurrent and quantized networks, one function a family.

Where ONNX's reference evaluator and ONNX Runtime are known to differ, `believe` names the one that follows the text:
DeformConv, CausalConvWithState, Col2Im, MaxUnpool with output_shape and CumProd have no kernel in ONNX Runtime 1.30.
"""
import numpy as np
from onnx import TensorProto

MS = "com.microsoft"


def bits(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("elementwise", op, inputs, attributes, **kw)
    x = k.f32(2, 4)
    for op in ("Tan", "Asinh", "Sinh", "Cosh", "Atan", "Softsign", "Selu", "Celu", "ThresholdedRelu", "Shrink"):
        add(op, [x])
    for op in ("Asin", "Acos", "Atanh"):
        add(op, [k.f32(5, low=-0.9, high=0.9)])
    add("Acosh", [k.f32(5, low=1.1, high=4)])
    add("Mish", [x], opset=18)
    add("Selu", [x], {"alpha": 2.0, "gamma": 3.0})
    add("Celu", [x], {"alpha": 0.5})
    add("ThresholdedRelu", [x], {"alpha": 0.25})
    add("Shrink", [x], {"bias": 0.5, "lambd": 0.75})
    add("Hardmax", [x])
    add("Hardmax", [x], {"axis": 0})
    add("BitwiseNot", [np.array([0, 1, 200], np.uint8)])
    add("BitwiseNot", [k.i64(0, -1, 2**40)])
    add("BitCast", [np.array([1.5, -2.0], np.float32)], {"to": TensorProto.INT32}, opset=26, believe="onnx")
    add("Dropout", [x, np.float32(0.3)], outputs=2)
    a, b = np.array([[12], [10]], np.int32), np.array([6, -3, 255], np.int32)
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        add(op, [a, b])
        add(op, [k.i64(2**40 + 5, -1), k.i64(2**40 + 3, 2**33)])
    for direction in ("LEFT", "RIGHT"):
        add("BitShift", [np.array([1, 255, 128], np.uint8), np.array([3, 1, 7], np.uint8)], {"direction": direction})
        add("BitShift", [np.array([2**40 + 1], np.uint64), np.array([30], np.uint64)], {"direction": direction})


def reductions(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("reductions", op, inputs, attributes, **kw)
    x = k.f32(2, 3, 2, low=0.1)
    add("ReduceLogSum", [x, k.i64(1)], {}, opset=20)
    add("ReduceLogSum", [x], {"keepdims": 0}, opset=20)
    for attributes in ({}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}):
        add("CumProd", [k.f32(2, 3), np.int64(1)], attributes, opset=26, believe="onnx")
    add("Det", [k.f32(2, 3, 3)])
    labels = np.array([[0, 2], [1, 1]])
    scores = k.f32(2, 3, 2)
    for attributes in ({}, {"reduction": "none"}, {"reduction": "sum"}, {"ignore_index": 1}):
        add("NegativeLogLikelihoodLoss", [scores, labels], attributes)
        add("NegativeLogLikelihoodLoss", [scores, labels, k.f32(3, low=0.2)], attributes)


def convolution(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("convolution", op, inputs, attributes, **kw)
    add("Conv", [k.f32(2, 2, 4, 4), k.f32(3, 2, 3, 3), k.f32(3)])
    add("Conv", [k.f32(1, 2, 5, 4), k.f32(2, 2, 3, 2)], {"strides": [2, 1], "dilations": [1, 2], "pads": [1, 0, 2, 1]})
    add("Conv", [k.f32(1, 4, 4, 4), k.f32(4, 2, 2, 2)], {"group": 2})
    add("Conv", [k.f32(1, 3, 4, 4), k.f32(6, 1, 3, 3)], {"group": 3, "pads": [1, 1, 1, 1], "strides": [2, 2]})
    for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        add("Conv", [k.f32(1, 1, 5, 4), k.f32(1, 1, 2, 3)], {"auto_pad": pad, "strides": [2, 1]})
    add("Conv", [k.f32(2, 2, 5), k.f32(1, 2, 3)], {"pads": [1, 1]})
    add("Conv", [k.f32(1, 1, 3, 3, 3), k.f32(2, 1, 2, 2, 2)])
    add("ConvTranspose", [k.f32(1, 2, 3, 3), k.f32(2, 2, 3, 3), k.f32(2)])
    add("ConvTranspose", [k.f32(1, 2, 3, 2), k.f32(2, 1, 3, 3)],
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]})
    add("ConvTranspose", [k.f32(1, 4, 2, 2), k.f32(4, 2, 2, 2)], {"group": 2, "dilations": [2, 1]})
    add("ConvTranspose", [k.f32(1, 1, 3, 3), k.f32(1, 2, 3, 3)], {"strides": [3, 2], "output_shape": [10, 8]})
    for pad in ("SAME_UPPER", "SAME_LOWER"):
        add("ConvTranspose", [k.f32(1, 1, 3, 3), k.f32(1, 1, 3, 3)], {"auto_pad": pad, "strides": [2, 2]})
    add("ConvTranspose", [k.f32(1, 2, 4), k.f32(2, 1, 3)], {"strides": [2]})
    add("DeformConv", [k.f32(1, 2, 4, 4), k.f32(2, 2, 2, 2), k.f32(1, 8, 3, 3, low=-0.8, high=0.8), k.f32(2), k.f32(1, 4, 3, 3)],
        {"kernel_shape": [2, 2], "pads": [0, 0, 0, 0]}, believe="onnx")
    add("DeformConv", [k.f32(1, 2, 3, 3), k.f32(2, 1, 2, 2), k.f32(1, 16, 2, 2, low=-0.8, high=0.8)],
        {"kernel_shape": [2, 2], "pads": [0, 0, 0, 0], "group": 2, "offset_group": 2}, believe="onnx")
    add("CausalConvWithState", [k.f32(2, 3, 4), k.f32(3, 1, 3)], outputs=2, opset=27, believe="onnx")
    add("CausalConvWithState", [k.f32(1, 2, 3), k.f32(2, 1, 3), k.f32(2), k.f32(1, 2, 2)], {"activation": "silu"}, outputs=2,
        opset=27, believe="onnx")
    add("Col2Im", [k.f32(1, 8, 6), k.i64(3, 4), k.i64(2, 2)], believe="onnx")
    add("Col2Im", [k.f32(1, 4, 9), k.i64(4, 4), k.i64(2, 2)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}, believe="onnx")


def pooling(k):
    add = lambda op, inputs, attributes=None, outputs=1, **kw: k.case("pooling", op, inputs, attributes, outputs, **kw)
    x = k.f32(1, 2, 5, 4)
    window = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
    for op in ("MaxPool", "AveragePool", "LpPool"):
        add(op, [x], window)
        add(op, [x], {"kernel_shape": [2, 2], "dilations": [2, 1]})
        add(op, [x], {"kernel_shape": [2, 3], "auto_pad": "SAME_UPPER"})
        add(op, [x], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1})
        add(op, [k.f32(2, 1, 6)], {"kernel_shape": [3], "strides": [2]})
    add("MaxPool", [x], window, 2)
    add("MaxPool", [x], {"kernel_shape": [2, 2], "storage_order": 1}, 2)
    add("MaxPool", [k.ints((1, 1, 4, 4), 0, 256, np.uint8)], {"kernel_shape": [2, 2]})
    add("AveragePool", [x], {**window, "count_include_pad": 1})
    add("AveragePool", [x], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1})
    add("LpPool", [x], {**window, "p": 3})
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        add(op, [k.f32(2, 2, 2, 3)])
    add("GlobalLpPool", [k.f32(1, 2, 3)], {"p": 1})
    indices = np.array([5, 7, 13, 15]).reshape(1, 1, 2, 2)
    add("MaxUnpool", [k.f32(1, 1, 2, 2), indices], {"kernel_shape": [2, 2], "strides": [2, 2]})
    add("MaxUnpool", [k.f32(1, 1, 2, 2), indices, k.i64(1, 1, 5, 5)], {"kernel_shape": [2, 2], "strides": [2, 2]}, believe="onnx")
    rois = np.array([[0, 0, 0, 3, 3], [0, 1, 2, 5, 5]], np.float32)
    add("MaxRoiPool", [k.f32(1, 2, 6, 6), rois], {"pooled_shape": [2, 3]})
    add("MaxRoiPool", [k.f32(1, 1, 4, 4), rois * 2], {"pooled_shape": [2, 2], "spatial_scale": 0.5})
    add("NhwcMaxPool", [k.ints((1, 4, 5, 2), 0, 256, np.uint8)],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, domain=MS)


def by_channel(k):
    add = lambda op, inputs, attributes=None, outputs=1, **kw: k.case("by-channel", op, inputs, attributes, outputs, **kw)
    x, scale, bias = k.f32(2, 3, 2, 2), k.f32(3), k.f32(3)
    mean, variance = k.f32(3), k.f32(3, low=0.2)
    add("BatchNormalization", [x, scale, bias, mean, variance])
    add("BatchNormalization", [k.f32(4, 3), scale, bias, mean, variance], {"epsilon": 0.01})
    add("BatchNormalization", [x, scale, bias, mean, variance], {"training_mode": 1, "momentum": 0.8}, 3, believe="onnx")
    add("InstanceNormalization", [x, scale, bias])
    add("GroupNormalization", [k.f32(2, 4, 2, 2), k.f32(4), k.f32(4)], {"num_groups": 2, "epsilon": 0.01})
    add("MeanVarianceNormalization", [k.f32(2, 2, 2, 2)])
    for attributes in ({}, {"p": 1}, {"axis": 0}):
        add("LpNormalization", [k.f32(2, 3)], attributes)
    for attributes in ({"size": 3}, {"size": 5, "alpha": 0.5, "beta": 0.5, "bias": 2.0}):
        add("LRN", [k.f32(1, 5, 1, 2)], attributes)


def moving(k):
    add = lambda op, inputs, attributes=None, outputs=1, **kw: k.case("movement", op, inputs, attributes, outputs, **kw)
    add("ReverseSequence", [k.f32(4, 3), k.i64(1, 4, 2)])
    add("ReverseSequence", [k.f32(2, 3, 2), k.i64(3, 2)], {"batch_axis": 0, "time_axis": 1})
    add("CenterCropPad", [k.f32(5, 3), k.i64(2, 6)])
    add("CenterCropPad", [k.f32(2, 4, 3), k.i64(3)], {"axes": [-2]})
    add("DepthToSpace", [k.f32(1, 8, 2, 3)], {"blocksize": 2})
    add("DepthToSpace", [k.f32(1, 8, 1, 2)], {"blocksize": 2, "mode": "CRD"})
    add("SpaceToDepth", [k.f32(1, 2, 4, 2)], {"blocksize": 2})
    add("Compress", [k.f32(2, 3), np.array([False, True, True])], {"axis": 1})
    add("Compress", [k.f32(2, 3), np.array([True, False, False, True])])
    values = np.array([2, 1, 1, 3, 4, 3], np.float32)
    for attributes in ({}, {"sorted": 0}):
        add("Unique", [values], attributes, 4)
    rows = np.array([[1, 0, 0], [1, 0, 0], [2, 3, 4], [1, 0, 0]], np.float32)
    add("Unique", [rows], {"axis": 0}, 4)


def sampling(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("sampling", op, inputs, attributes, **kw)
    x = k.f32(1, 1, 4, 4)
    scales = lambda *v: np.array(v, np.float32)
    for mode in ("nearest", "linear", "cubic"):
        for way in ("half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners"):
            add("Resize", [x, None, scales(1, 1, 1.5, 2)], {"mode": mode, "coordinate_transformation_mode": way})
        add("Resize", [x, None, None, k.i64(1, 1, 3, 2)], {"mode": mode})
    for rounding in ("round_prefer_ceil", "floor", "ceil"):
        add("Resize", [x, None, scales(1, 1, 0.75, 0.75)], {"nearest_mode": rounding})
    for mode in ("linear", "cubic"):
        add("Resize", [x, None, scales(1, 1, 0.6, 0.5)], {"mode": mode, "antialias": 1})
        add("Resize", [x, scales(0, 0, 0.2, 0.3, 1, 1, 0.9, 1.2), None, k.i64(1, 1, 3, 3)],
            {"mode": mode, "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 7.0})
    add("Resize", [x, None, scales(1, 1, 2, 2)], {"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -0.5})
    add("Resize", [k.f32(1, 1, 2, 4), None, None, k.i64(7, 8)], {"axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"})
    add("Resize", [k.f32(1, 1, 2, 4), None, None, k.i64(7, 8)], {"axes": [2, 3], "keep_aspect_ratio_policy": "not_smaller"})
    grid = k.f32(1, 2, 3, 2, low=-1.3, high=1.3)
    for mode in ("linear", "nearest", "cubic"):
        for padding in ("zeros", "border", "reflection"):
            for corners in (0, 1):
                add("GridSample", [k.f32(1, 1, 3, 4), grid],
                    {"mode": mode, "padding_mode": padding, "align_corners": corners}, opset=20)
    add("GridSample", [k.f32(1, 1, 2, 3, 2), k.f32(1, 1, 2, 2, 3, low=-1.2, high=1.2)], {"align_corners": 1}, opset=20)
    for corners in (0, 1):
        add("AffineGrid", [k.f32(1, 2, 3), k.i64(1, 1, 2, 3)], {"align_corners": corners}, opset=20)
        add("AffineGrid", [k.f32(1, 3, 4), k.i64(1, 1, 2, 2, 3)], {"align_corners": corners}, opset=20)
    regions(k, add)


def regions(k, add):
    rois, batches = np.array([[0.5, 1, 4, 4.5], [1, 0, 5, 3]], np.float32), k.i64(1, 0)
    size = {"output_height": 2, "output_width": 2}
    for attributes in ({}, {"sampling_ratio": 2}, {"mode": "max", "sampling_ratio": 2},
                       {"coordinate_transformation_mode": "output_half_pixel", "spatial_scale": 0.5}):
        # ONNX Runtime says of itself that its maximum over more than one sample is wrong.
        believe = "onnx" if "mode" in attributes else "onnxruntime"
        add("RoiAlign", [k.f32(2, 1, 5, 5), rois, batches], {**size, **attributes}, believe=believe)
    boxes = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [0, 10.1, 1, 11.1]]], np.float32)
    scores = np.array([[[0.9, 0.75, 0.6, 0.95, 0.5], [0.3, 0.1, 0.8, 0.2, 0.4]]], np.float32)
    most, overlap, least = np.int64(2), np.float32(0.5), np.float32(0.25)
    for inputs in ([boxes, scores, most], [boxes, scores, most, overlap], [boxes, scores, np.int64(9), overlap, least]):
        add("NonMaxSuppression", inputs)
    add("NonMaxSuppression", [boxes + 1, scores, most, overlap], {"center_point_box": 1})


def recurrent(k):
    add = lambda op, inputs, attributes, outputs: k.case(
        "recurrent", op, inputs, {"hidden_size": 2, **attributes}, outputs, believe="onnxruntime")
    lengths = np.array([3, 2], np.int32)
    for op, gates, states in (("RNN", 1, 1), ("GRU", 3, 1), ("LSTM", 4, 2)):
        weights = lambda d: [k.f32(d, gates * 2, 2), k.f32(d, gates * 2, 2), k.f32(d, gates * 4)]
        start = lambda d: [k.f32(d, 2, 2) for _ in range(states)]
        x = k.f32(3, 2, 2)
        add(op, [x, *weights(1)[:2]], {}, 1 + states)
        add(op, [x, *weights(2), None, *start(2)], {"direction": "bidirectional"}, 1 + states)
        add(op, [x, *weights(1), lengths, *start(1)], {"direction": "reverse"}, 1 + states)
        add(op, [x, *weights(1), lengths], {"clip": 0.5}, 1 + states)
    gru = [k.f32(3, 2, 2), k.f32(1, 6, 2), k.f32(1, 6, 2), k.f32(1, 12)]
    add("GRU", gru, {"linear_before_reset": 1}, 2)
    add("GRU", gru, {"activations": ["HardSigmoid", "Softsign"], "activation_alpha": [0.3], "activation_beta": [0.4]}, 2)
    lstm = [k.f32(3, 2, 2), k.f32(1, 8, 2), k.f32(1, 8, 2), k.f32(1, 16)]
    add("LSTM", [*lstm, None, k.f32(1, 2, 2), k.f32(1, 2, 2), k.f32(1, 6)], {}, 3)
    add("LSTM", lstm, {"input_forget": 1}, 3)
    add("RNN", [k.f32(3, 2, 2), k.f32(1, 2, 2), k.f32(1, 2, 2)], {"activations": ["Relu"]}, 2)


def signals(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("signal", op, inputs, attributes, **kw)
    add("DFT", [k.f32(1, 5, 1)], {}, opset=20)
    add("DFT", [k.f32(1, 4, 2)], {"inverse": 1}, opset=20)
    add("DFT", [k.f32(1, 6, 1), np.int64(4)], {"onesided": 1}, opset=20)
    add("DFT", [k.f32(3, 2, 2), None, np.int64(0)], {}, opset=20, believe="onnx")
    add("STFT", [k.f32(1, 10, 1), np.int64(3), k.f32(4), np.int64(4)])
    add("STFT", [k.f32(1, 8, 1), np.int64(2), None, np.int64(4)], {"onesided": 0}, believe="onnx")
    for op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
        for periodic in (0, 1):
            add(op, [np.int64(5)], {"periodic": periodic})
    mel = [np.int64(4), np.int64(16), np.int64(8000), np.float32(0), np.float32(4000)]
    add("MelWeightMatrix", mel)
    add("MelWeightMatrix", [np.int64(8), np.int64(16), np.int64(8192), np.float32(100), np.float32(3000)])


def quantized(k):
    add = lambda op, inputs, attributes=None, **kw: k.case("quantized", op, inputs, attributes, **kw)
    u8 = lambda *dims: k.ints(dims, 0, 256, np.uint8)
    scale = lambda step, zero: [np.float32(step), np.uint8(zero)]
    x, w = u8(1, 2, 4, 4), u8(2, 2, 3, 3)
    add("ConvInteger", [x, w])
    add("ConvInteger", [x, w, np.uint8(7), np.uint8(130)], {"pads": [1, 1, 1, 1], "strides": [2, 2]})
    conv = [x, *scale(0.02, 120), k.ints((2, 2, 3, 3), -128, 128, np.int8), np.array([0.01, 0.03], np.float32),
            np.zeros(2, np.int8), *scale(0.15, 110)]
    add("QLinearConv", conv, {"pads": [1, 1, 1, 1]})
    add("QLinearConv", [*conv, np.array([500, -300], np.int32)])
    add("QLinearConv", [u8(1, 4, 4, 4), *scale(0.02, 120), u8(4, 1, 3, 3), *scale(0.03, 128), *scale(0.2, 100)], {"group": 4})
    add("QLinearMatMul", [u8(3, 4), *scale(0.02, 110), u8(4, 2), *scale(0.03, 120), *scale(0.1, 90)])
    add("QLinearMatMul", [k.ints((2, 4), -128, 128, np.int8), np.float32(0.02), np.int8(3), k.ints((4, 3), -128, 128, np.int8),
                          np.array([0.01, 0.02, 0.03], np.float32), np.zeros(3, np.int8), np.float32(0.1), np.int8(-5)])
    both = [u8(2, 3), *scale(0.02, 120), u8(3), *scale(0.03, 130), *scale(0.05, 100)]
    add("QLinearAdd", both, domain=MS)
    add("QLinearMul", both, domain=MS)
    add("QLinearSigmoid", [u8(2, 5), *scale(0.03, 120), *scale(1 / 256, 0)], domain=MS)
    add("QLinearLeakyRelu", [u8(2, 5), *scale(0.03, 120), *scale(0.04, 60)], {"alpha": 0.2}, domain=MS)
    add("QLinearConcat", [*scale(0.05, 100), u8(2, 3), *scale(0.02, 90), u8(2, 2), *scale(0.07, 128)], {"axis": 1}, domain=MS)
    pool = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
    add("QLinearAveragePool", [x, *scale(0.02, 120), *scale(0.03, 110)], pool, domain=MS)
    add("QLinearAveragePool", [x, *scale(0.02, 120), *scale(0.03, 110)], {**pool, "count_include_pad": 1}, domain=MS)
    add("QLinearAveragePool", [u8(1, 4, 4, 2), *scale(0.02, 120), *scale(0.03, 110)],
        {"kernel_shape": [2, 2], "strides": [2, 2], "channels_last": 1}, domain=MS)
    add("QLinearGlobalAveragePool", [u8(2, 3, 3, 3), *scale(0.02, 120), *scale(0.03, 110)], {"channels_last": 0}, domain=MS)
    gemm = [u8(3, 4), *scale(0.02, 110), u8(2, 4), *scale(0.03, 120)]
    add("QGemm", [*gemm, np.array([30, -20], np.int32), *scale(0.1, 90)], {"transB": 1}, domain=MS)
    add("QGemm", gemm, {"transB": 1}, domain=MS)


def add_all(k):
    for family in (bits, reductions, convolution, pooling, by_channel, moving, sampling, recurrent, signals, quantized):
        family(k)
