/**
 * Which ops each engine has or lacks, each list with where it was read and how far it can be trusted.
 *
 * 1. Names are those of the op list here; what an engine calls otherwise (TFLite, TIM-VX) stands under the ONNX op that becomes it.
 * 2. `low` lists rest on examples and the literature, not on a table: findings say so.
 */
import type { OpType } from '../../ops/schema.ts';
import type { Confidence } from '../profile.ts';
import type { SourceKey } from '../sources.ts';

export interface OpList {
  readonly ops: readonly OpType[];
  readonly source: SourceKey;
  readonly confidence: Confidence;
}

/** The builders that ONNX Runtime's QNN provider registers. */
// biome-ignore format: a list
export const HTP_OPS: OpList = {
  source: 'ort-qnn-builders', confidence: 'vendor-doc',
  ops: [
    'Abs', 'Add', 'And', 'ArgMax', 'ArgMin', 'Asin', 'Atan', 'AveragePool', 'BatchNormalization', 'Cast', 'Ceil', 'Clip', 'Concat', 'Conv', 'ConvTranspose',
    'Cos', 'CumSum', 'DepthToSpace', 'Div', 'Einsum', 'Elu', 'Equal', 'Exp', 'Expand', 'Flatten', 'Floor', 'Gather', 'GatherElements', 'GatherND', 'Gelu',
    'Gemm', 'GlobalAveragePool', 'GlobalMaxPool', 'Greater', 'GreaterOrEqual', 'GridSample', 'HardSigmoid', 'HardSwish', 'InstanceNormalization', 'LRN',
    'LSTM', 'LayerNormalization', 'LeakyRelu', 'Less', 'LessOrEqual', 'Log', 'LogSoftmax', 'LpNormalization', 'MatMul', 'Max', 'MaxPool', 'Mean', 'Min',
    'Mod', 'Mul', 'Neg', 'Not', 'Or', 'PRelu', 'Pad', 'Pow', 'RMSNormalization', 'Reciprocal', 'ReduceL2', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd',
    'ReduceSum', 'Relu', 'Reshape', 'Resize', 'Round', 'STFT', 'ScatterElements', 'ScatterND', 'Sigmoid', 'Sign', 'Sin', 'Slice', 'Softmax', 'SpaceToDepth',
    'Split', 'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Tanh', 'ThresholdedRelu', 'Tile', 'TopK', 'Transpose', 'Unsqueeze', 'Where', 'com.microsoft.FusedMatMul',
  ],
};

/** What Vela 5.2 places on Ethos-U55 and U65, in terms of ONNX. */
// biome-ignore format: a list
export const ETHOS_U55_OPS: OpList = {
  source: 'vela-report', confidence: 'vendor-doc',
  ops: [
    'Abs', 'Add', 'ArgMax', 'AveragePool', 'Clip', 'Concat', 'Conv', 'ConvTranspose', 'Elu', 'Exp', 'Flatten', 'Gelu', 'Gemm', 'GlobalAveragePool',
    'GlobalMaxPool', 'HardSwish', 'LSTM', 'LeakyRelu', 'Log', 'MatMul', 'Max', 'MaxPool', 'Min', 'Mul', 'Neg', 'PRelu', 'Pad', 'ReduceMax', 'ReduceMean',
    'ReduceMin', 'ReduceSum', 'Relu', 'Reshape', 'Resize', 'Sigmoid', 'Slice', 'Softmax', 'Split', 'Squeeze', 'Sub', 'Tanh', 'Tile', 'Transpose', 'Unsqueeze',
  ],
};

// biome-ignore format: a list
export const ETHOS_U85_OPS: OpList = {
  ...ETHOS_U55_OPS,
  ops: [
    ...ETHOS_U55_OPS.ops, 'And', 'Cast', 'Div', 'Equal', 'Gather', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Not', 'Or', 'ScatterND', 'Where',
  ],
};

/** The builtin operators of TensorFlow Lite Micro, in terms of ONNX; MatMul of two values and ReduceMin by CMSIS-NN's table. */
// biome-ignore format: a list
export const TFLM_OPS: OpList = {
  source: 'tflm', confidence: 'vendor-doc',
  ops: [
    'Abs', 'Add', 'And', 'ArgMax', 'ArgMin', 'AveragePool', 'BatchNormalization', 'Cast', 'Ceil', 'Clip', 'Concat', 'Conv', 'ConvTranspose', 'Cos', 'CumSum',
    'DepthToSpace', 'Div', 'Elu', 'Equal', 'Exp', 'Expand', 'Flatten', 'Floor', 'Gather', 'GatherND', 'Gemm', 'GlobalAveragePool', 'GlobalMaxPool', 'Greater',
    'GreaterOrEqual', 'HardSwish', 'LSTM', 'LeakyRelu', 'Less', 'LessOrEqual', 'Log', 'LogSoftmax', 'LpNormalization', 'MatMul', 'Max', 'MaxPool', 'Min',
    'Mod', 'Mul', 'Neg', 'Not', 'Or', 'PRelu', 'Pad', 'ReduceMax', 'ReduceMean', 'ReduceSum', 'Relu', 'Reshape', 'Resize', 'Round', 'Sigmoid', 'Sin', 'Slice',
    'Softmax', 'SpaceToDepth', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Tanh', 'Transpose', 'Unsqueeze', 'Where',
  ],
};

/** ST Edge AI Core on a microcontroller: TensorFlow Lite Micro's and the activations that its ONNX page names; recurrent and norm layers from release notes. */
// biome-ignore format: a list
export const ST_MICRO_OPS: OpList = {
  source: 'st-onnx-ops', confidence: 'low',
  ops: [
    ...TFLM_OPS.ops, 'Acos', 'Acosh', 'Asin', 'Asinh', 'Atan', 'Atanh', 'Cosh', 'Erf', 'GRU', 'Gelu', 'HardSigmoid', 'InstanceNormalization',
    'LayerNormalization', 'Pow', 'Reciprocal', 'ReduceMin', 'ReduceProd', 'Selu', 'Sign', 'Sinh', 'Softplus', 'Softsign', 'Swish', 'Tan',
    'ThresholdedRelu', 'Tile',
  ],
};

/** Neural-ART. The page that maps every operator was not at hand in full: from its summary, the model zoo and the forum. */
// biome-ignore format: a list
export const NEURAL_ART_OPS: OpList = {
  source: 'st-neuralart', confidence: 'low',
  ops: [
    'Abs', 'Add', 'ArgMax', 'ArgMin', 'AveragePool', 'BatchNormalization', 'Clip', 'Concat', 'Conv', 'ConvTranspose', 'Div', 'Exp', 'Flatten', 'Gather',
    'Gemm', 'GlobalAveragePool', 'GlobalMaxPool', 'HardSigmoid', 'HardSwish', 'LeakyRelu', 'MatMul', 'Max', 'MaxPool', 'Min', 'Mul', 'Neg', 'PRelu', 'Pad',
    'ReduceMean', 'Relu', 'Reshape', 'Resize', 'Sigmoid', 'Slice', 'Softmax', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Tanh', 'Transpose', 'Unsqueeze',
  ],
};

/** What TIM-VX, the software of VeriSilicon's NPUs, documents. */
// biome-ignore format: a list
export const VIP_OPS: OpList = {
  source: 'tim-vx', confidence: 'vendor-doc',
  ops: [
    'Abs', 'Add', 'And', 'ArgMax', 'ArgMin', 'AveragePool', 'BatchNormalization', 'Cast', 'Ceil', 'Celu', 'Clip', 'Concat', 'Conv', 'ConvTranspose',
    'DepthToSpace', 'Div', 'Elu', 'Equal', 'Erf', 'Exp', 'Expand', 'Flatten', 'Floor', 'Gather', 'GatherElements', 'GatherND', 'Gelu', 'Gemm',
    'GlobalAveragePool', 'GlobalMaxPool', 'Greater', 'GreaterOrEqual', 'HardSigmoid', 'HardSwish', 'LRN', 'LSTM', 'LeakyRelu', 'Less', 'LessOrEqual', 'Log',
    'LogSoftmax', 'LpNormalization', 'MatMul', 'Max', 'MaxPool', 'MaxRoiPool', 'MaxUnpool', 'Min', 'Mish', 'Mul', 'Neg', 'Not', 'OneHot', 'Or', 'PRelu',
    'Pad', 'Pow', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd', 'ReduceSum', 'Relu', 'Reshape', 'Resize', 'RoiAlign', 'ScatterND', 'Selu', 'Sigmoid',
    'Sin', 'Slice', 'Softmax', 'Softplus', 'SpaceToDepth', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Swish', 'Tanh', 'Tile', 'TopK', 'Transpose',
    'Unsqueeze', 'Where',
  ],
};

/** The 60 rows of TIDL's table of ONNX operators, with the two that it knows inside a Gelu or a LayerNormalization. */
// biome-ignore format: a list
export const TIDL_OPS: OpList = {
  source: 'tidl-ops', confidence: 'vendor-doc',
  ops: [
    'Abs', 'Acos', 'Add', 'ArgMax', 'Asin', 'Asinh', 'Atan', 'AveragePool', 'BatchNormalization', 'Cast', 'Clip', 'Concat', 'Conv', 'ConvTranspose', 'Cos',
    'Cosh', 'DeformConv', 'DepthToSpace', 'Div', 'Elu', 'Erf', 'Exp', 'Flatten', 'Floor', 'Gather', 'Gelu', 'Gemm', 'GlobalAveragePool', 'GridSample',
    'HardSigmoid', 'HardSwish', 'InstanceNormalization', 'LayerNormalization', 'LeakyRelu', 'Log', 'MatMul', 'Max', 'MaxPool', 'Mish', 'Mul', 'Neg', 'PRelu',
    'Pad', 'Pow', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'Relu', 'Reshape', 'Resize', 'ScatterElements', 'ScatterND', 'Sigmoid', 'Sin', 'Sinh', 'Slice',
    'Softmax', 'SpaceToDepth', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Sum', 'Tan', 'Tanh', 'TopK', 'Transpose', 'Unsqueeze',
  ],
};

/** The WebGPU table that the onnxruntime-web package carries; without those that it marks as having no kernel. */
// biome-ignore format: a list
export const WEBGPU_OPS: OpList = {
  source: 'ort-web-ops', confidence: 'vendor-doc',
  ops: [
    'Abs', 'Acos', 'Acosh', 'Add', 'ArgMax', 'ArgMin', 'Asin', 'Asinh', 'Atan', 'Atanh', 'AveragePool', 'BatchNormalization', 'Cast', 'Ceil', 'Clip',
    'Concat', 'Conv', 'ConvTranspose', 'Cos', 'Cosh', 'CumSum', 'DFT', 'DepthToSpace', 'DequantizeLinear', 'Div', 'Einsum', 'Elu', 'Equal', 'Erf', 'Exp',
    'Expand', 'Flatten', 'Floor', 'Gather', 'GatherElements', 'GatherND', 'Gelu', 'Gemm', 'GlobalAveragePool', 'GlobalMaxPool', 'Greater', 'GreaterOrEqual',
    'GridSample', 'HardSigmoid', 'HardSwish', 'If', 'InstanceNormalization', 'LayerNormalization', 'LeakyRelu', 'Less', 'LessOrEqual', 'Log', 'MatMul',
    'MaxPool', 'Mul', 'Neg', 'Not', 'Pad', 'Pow', 'Range', 'Reciprocal', 'ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean', 'ReduceMin',
    'ReduceProd', 'ReduceSum', 'ReduceSumSquare', 'Relu', 'Reshape', 'Resize', 'ScatterND', 'Shape', 'Sigmoid', 'SimplifiedLayerNormalization', 'Sin',
    'Sinh', 'Slice', 'Softmax', 'Split', 'Sqrt', 'Squeeze', 'Sub', 'Tan', 'Tanh', 'ThresholdedRelu', 'Tile', 'Transpose', 'Unsqueeze', 'Where',
    'com.microsoft.FastGelu', 'com.microsoft.GatherBlockQuantized', 'com.microsoft.Gelu', 'com.microsoft.GroupQueryAttention', 'com.microsoft.MatMulNBits',
    'com.microsoft.MultiHeadAttention', 'com.microsoft.QuickGelu', 'com.microsoft.RotaryEmbedding', 'com.microsoft.SkipLayerNormalization',
    'com.microsoft.SkipSimplifiedLayerNormalization',
  ],
};

/** What the importer of TensorRT 10 marks as not supported. */
// biome-ignore format: a list
export const TENSORRT_LACKS: OpList = {
  source: 'onnx-tensorrt', confidence: 'vendor-doc',
  ops: [
    'AffineGrid', 'BitShift', 'BitwiseAnd', 'BitwiseNot', 'BitwiseOr', 'BitwiseXor', 'BlackmanWindow', 'CenterCropPad', 'Compress', 'ConvInteger', 'DFT',
    'Det', 'DynamicQuantizeLinear', 'HammingWindow', 'HannWindow', 'MatMulInteger', 'MaxRoiPool', 'MaxUnpool', 'MelWeightMatrix',
    'NegativeLogLikelihoodLoss', 'QLinearConv', 'QLinearMatMul', 'STFT', 'SoftmaxCrossEntropyLoss', 'Unique',
  ],
};

/** What the table of OpenVINO's ONNX frontend defines but does not support. */
// biome-ignore format: a list
export const OPENVINO_LACKS: OpList = {
  source: 'openvino-onnx-ops', confidence: 'vendor-doc',
  ops: ['DeformConv', 'Det', 'LpPool', 'MaxUnpool', 'MelWeightMatrix'],
};
