/** Qualcomm HTP: AI Hub, QNN runtime on the NPU (v0.47), batch 1. */
import type { Precision } from '../../profile.ts';
import type { Measurement } from './index.ts';

const of = (device: string, precision: Precision, ms: Measurement['ms']): Measurement => ({
  kind: 'hexagon-htp',
  rig: device,
  device,
  precision,
  source: 'ai-hub',
  ms,
});

// biome-ignore format: a table
export const HEXAGON: readonly Measurement[] = [
  of('qcs9075', 'float16', {
    convnext_base: 12.123, convnext_tiny: 4.875, densenet121: 2.791, efficientnet_b0: 1.868, efficientnet_b4: 4.199, efficientnet_v2_s: 3.681,
    googlenet: 1.516, inception_v3: 2.056, mnasnet05: 0.976, mobilenet_v2: 1.13, mobilenet_v3_large: 1.224, mobilenet_v3_small: 0.991,
    regnet: 3.084, regnet_y_800mf: 1.734, resnet101: 5.302, resnet18: 2.065, resnet50: 3.321, resnext101: 10.003,
    resnext50: 3.659, shufflenet_v2: 0.888, squeezenet1_1: 0.871, vit: 15.555, wideresnet50: 7.109,
  }),
  of('snapdragon-8-gen-1', 'float16', {
    convnext_base: 20.649, convnext_tiny: 9.713, densenet121: 3.312, efficientnet_b0: 3.624, efficientnet_b4: 7.863, efficientnet_v2_s: 5.632,
    googlenet: 1.764, inception_v3: 2.348, mnasnet05: 1.572, mobilenet_v2: 1.712, mobilenet_v3_large: 1.906, mobilenet_v3_small: 1.587,
    regnet: 3.479, regnet_y_800mf: 2.224, resnet101: 5.949, resnet18: 2.449, resnet50: 3.759, resnext101: 9.895,
    resnext50: 4.05, shufflenet_v2: 1.362, squeezenet1_1: 1.267, vit: 19.128, wideresnet50: 9.206,
  }),
  of('qcs8550', 'float16', {
    convnext_base: 8.247, convnext_tiny: 3.678, densenet121: 1.783, efficientnet_b0: 1.57, efficientnet_b4: 3.36, efficientnet_v2_s: 2.627,
    googlenet: 0.807, inception_v3: 1.368, mnasnet05: 0.82, mobilenet_v2: 0.941, mobilenet_v3_large: 1.045, mobilenet_v3_small: 0.845,
    regnet: 2.063, regnet_y_800mf: 1.435, resnet101: 3.334, resnet18: 1.337, resnet50: 2.192, resnext101: 6.776,
    resnext50: 2.541, shufflenet_v2: 0.791, squeezenet1_1: 0.653, vit: 11.199, wideresnet50: 4.873,
  }),
  of('snapdragon-8-gen-3', 'float16', {
    convnext_base: 6.002, convnext_tiny: 2.659, densenet121: 1.197, efficientnet_b0: 1.078, efficientnet_b4: 2.416, efficientnet_v2_s: 1.909,
    googlenet: 0.553, inception_v3: 1.02, mnasnet05: 0.525, mobilenet_v2: 0.605, mobilenet_v3_large: 0.686, mobilenet_v3_small: 0.557,
    regnet: 1.421, regnet_y_800mf: 0.918, resnet101: 2.405, resnet18: 0.916, resnet50: 1.598, resnext101: 4.65,
    resnext50: 1.804, shufflenet_v2: 0.517, squeezenet1_1: 0.448, vit: 7.724, wideresnet50: 3.67,
  }),
  of('snapdragon-8-elite', 'float16', {
    convnext_base: 4.655, convnext_tiny: 2.028, densenet121: 0.859, efficientnet_b0: 0.818, efficientnet_b4: 1.862, efficientnet_v2_s: 1.504,
    googlenet: 0.45, inception_v3: 0.879, mnasnet05: 0.4, mobilenet_v2: 0.459, mobilenet_v3_large: 0.527, mobilenet_v3_small: 0.427,
    regnet: 1.113, regnet_y_800mf: 0.699, resnet101: 1.949, resnet18: 0.711, resnet50: 1.259, resnext101: 3.975,
    resnext50: 1.452, shufflenet_v2: 0.367, squeezenet1_1: 0.332, vit: 5.287, wideresnet50: 2.932,
  }),
  of('snapdragon-8-elite-gen-5', 'float16', {
    convnext_base: 3.556, convnext_tiny: 1.631, densenet121: 0.706, efficientnet_b0: 0.607, efficientnet_b4: 1.51, efficientnet_v2_s: 1.203,
    googlenet: 0.376, inception_v3: 0.758, mnasnet05: 0.303, mobilenet_v2: 0.356, mobilenet_v3_large: 0.443, mobilenet_v3_small: 0.324,
    regnet: 0.9, regnet_y_800mf: 0.626, resnet101: 1.622, resnet18: 0.589, resnet50: 1.083, resnext101: 3.081,
    resnext50: 1.186, shufflenet_v2: 0.288, squeezenet1_1: 0.239, vit: 4.051, wideresnet50: 2.531,
  }),
  of('snapdragon-x-elite', 'float16', {
    convnext_base: 8.57, convnext_tiny: 3.931, densenet121: 2.011, efficientnet_b0: 1.766, efficientnet_b4: 3.662, efficientnet_v2_s: 2.92,
    googlenet: 0.956, inception_v3: 1.417, mnasnet05: 0.98, mobilenet_v2: 1.136, mobilenet_v3_large: 1.215, mobilenet_v3_small: 1.012,
    regnet: 2.301, regnet_y_800mf: 1.655, resnet101: 3.556, resnet18: 1.474, resnet50: 2.328, resnext101: 6.934,
    resnext50: 2.673, shufflenet_v2: 0.958, squeezenet1_1: 0.807, vit: 11.844, wideresnet50: 4.76,
  }),
  of('qcs9075', 'int16', {
    convnext_base: 6.136, convnext_tiny: 3.347, densenet121: 3.406, efficientnet_b0: 1.857, efficientnet_b4: 3.8, efficientnet_v2_s: 2.945,
    mnasnet05: 0.924, mobilenet_v2: 0.992, mobilenet_v3_large: 1.165, mobilenet_v3_small: 0.976,
  }),
  of('qcs6490', 'int16', {
    convnext_base: 23.725, convnext_tiny: 9.043, efficientnet_b0: 4.115, efficientnet_b4: 8.883, efficientnet_v2_s: 6.702, mnasnet05: 2.258,
    mobilenet_v2: 2.375, mobilenet_v3_large: 2.675, mobilenet_v3_small: 2.276,
  }),
  of('snapdragon-8-gen-1', 'int16', {
    convnext_base: 9.092, convnext_tiny: 4.192, densenet121: 5.033, efficientnet_b0: 1.951, efficientnet_b4: 4.106, efficientnet_v2_s: 3.226,
    mnasnet05: 0.952, mobilenet_v2: 0.99, mobilenet_v3_large: 1.231, mobilenet_v3_small: 0.986,
  }),
  of('qcs8550', 'int16', {
    convnext_base: 5.941, convnext_tiny: 3.123, densenet121: 3.123, efficientnet_b0: 1.692, efficientnet_b4: 3.452, efficientnet_v2_s: 2.62,
    mnasnet05: 0.789, mobilenet_v2: 0.809, mobilenet_v3_large: 0.929, mobilenet_v3_small: 0.804,
  }),
  of('snapdragon-8-gen-3', 'int16', {
    convnext_base: 4.071, convnext_tiny: 2.198, densenet121: 2.122, efficientnet_b0: 1.147, efficientnet_b4: 2.305, efficientnet_v2_s: 1.785,
    mnasnet05: 0.526, mobilenet_v2: 0.573, mobilenet_v3_large: 0.655, mobilenet_v3_small: 0.556,
  }),
  of('snapdragon-8-elite', 'int16', {
    convnext_base: 3.28, convnext_tiny: 1.605, densenet121: 1.754, efficientnet_b0: 0.785, efficientnet_b4: 1.602, efficientnet_v2_s: 1.254,
    mnasnet05: 0.36, mobilenet_v2: 0.384, mobilenet_v3_large: 0.46, mobilenet_v3_small: 0.374,
  }),
  of('snapdragon-8-elite-gen-5', 'int16', {
    convnext_base: 2.509, convnext_tiny: 1.283, densenet121: 1.222, efficientnet_b0: 0.642, efficientnet_b4: 1.323, efficientnet_v2_s: 0.991,
    mnasnet05: 0.294, mobilenet_v2: 0.298, mobilenet_v3_large: 0.371, mobilenet_v3_small: 0.307,
  }),
  of('snapdragon-x-elite', 'int16', {
    convnext_base: 6.27, convnext_tiny: 3.407, densenet121: 3.47, efficientnet_b0: 1.924, efficientnet_b4: 3.794, efficientnet_v2_s: 2.923,
    mnasnet05: 0.931, mobilenet_v2: 0.961, mobilenet_v3_large: 1.098, mobilenet_v3_small: 0.989,
  }),
  of('sa8295p', 'float16', {
    convnext_tiny: 8.956, densenet121: 3.03, efficientnet_b0: 3.65, googlenet: 1.779, inception_v3: 2.688, mnasnet05: 1.412,
    mobilenet_v2: 1.509, mobilenet_v3_large: 1.869, mobilenet_v3_small: 1.497, regnet: 3.503, regnet_y_800mf: 2.173, resnet101: 5.664,
    resnet18: 2.312, resnet50: 3.663, resnext101: 10.896, resnext50: 4.116, shufflenet_v2: 1.236, squeezenet1_1: 1.135,
    vit: 17.176, wideresnet50: 7.883,
  }),
  of('sa8775p', 'float16', {
    convnext_tiny: 5.035, densenet121: 2.694, efficientnet_b0: 2.051, googlenet: 1.527, inception_v3: 2.247, mnasnet05: 1.119,
    mobilenet_v2: 1.254, mobilenet_v3_large: 1.39, mobilenet_v3_small: 1.148, regnet: 3.299, regnet_y_800mf: 1.921, resnet101: 5.402,
    resnet18: 1.971, resnet50: 3.365, resnext101: 45.041, resnext50: 3.807, shufflenet_v2: 1.045, squeezenet1_1: 0.938,
    vit: 13.884, wideresnet50: 7.182,
  }),
  of('sa8295p', 'int16', {
    convnext_tiny: 4.732, densenet121: 5.589, efficientnet_b0: 2.419, mnasnet05: 1.25, mobilenet_v2: 1.271, mobilenet_v3_large: 1.647,
    mobilenet_v3_small: 1.369,
  }),
  of('sa8775p', 'int16', {
    convnext_tiny: 3.499, densenet121: 3.51, efficientnet_b0: 1.969, mnasnet05: 4.179, mobilenet_v2: 4.31, mobilenet_v3_large: 1.161,
    mobilenet_v3_small: 4.299,
  }),
  of('qcs9075', 'int8', {
    densenet121: 2.569, googlenet: 0.334, inception_v3: 0.625, mobilenet_v2: 0.538, regnet: 1.082, regnet_y_800mf: 0.862,
    resnet101: 1.32, resnet18: 0.624, resnet50: 0.973, resnext101: 3.129, resnext50: 1.233, shufflenet_v2: 0.571,
    squeezenet1_1: 0.447, wideresnet50: 1.904,
  }),
  of('snapdragon-8-gen-1', 'int8', {
    densenet121: 2.934, googlenet: 0.42, inception_v3: 0.902, mobilenet_v2: 0.595, regnet: 1.298, regnet_y_800mf: 0.858,
    resnet101: 1.797, resnet18: 0.749, resnet50: 1.193, resnext101: 3.897, resnext50: 1.46, shufflenet_v2: 0.54,
    squeezenet1_1: 0.436, wideresnet50: 2.536,
  }),
  of('qcs8550', 'int8', {
    densenet121: 2.366, googlenet: 0.241, inception_v3: 0.613, mobilenet_v2: 0.438, regnet: 0.892, regnet_y_800mf: 0.705,
    resnet101: 1.276, resnet18: 0.518, resnet50: 0.897, resnext101: 2.838, resnext50: 1.094, shufflenet_v2: 0.472,
    squeezenet1_1: 0.375, wideresnet50: 1.866,
  }),
  of('sa8295p', 'int8', {
    densenet121: 3.457, googlenet: 0.609, inception_v3: 1.157, mobilenet_v2: 0.809, regnet: 1.624, regnet_y_800mf: 1.115,
    resnet101: 1.945, resnet18: 0.911, resnet50: 1.427, resnext101: 4.243, resnext50: 1.791, shufflenet_v2: 0.848,
    squeezenet1_1: 0.708, wideresnet50: 2.755,
  }),
  of('sa8775p', 'int8', {
    densenet121: 11.689, googlenet: 0.424, inception_v3: 0.78, mobilenet_v2: 0.619, regnet: 1.314, regnet_y_800mf: 0.955,
    // biome-ignore lint/suspicious/noApproximativeNumericConstant: a measured time
    resnet101: 1.534, resnet18: 0.707, resnet50: 1.106, resnext101: 3.514, resnext50: 1.486, shufflenet_v2: 0.649,
    squeezenet1_1: 0.551, wideresnet50: 2.004,
  }),
  of('snapdragon-8-gen-3', 'int8', {
    densenet121: 1.703, googlenet: 0.179, inception_v3: 0.458, mobilenet_v2: 0.308, regnet: 0.646, regnet_y_800mf: 0.498,
    resnet101: 0.966, resnet18: 0.387, resnet50: 0.679, resnext101: 2.121, resnext50: 0.815, shufflenet_v2: 0.332,
    squeezenet1_1: 0.266, wideresnet50: 1.413,
  }),
  of('snapdragon-8-elite', 'int8', {
    densenet121: 1.044, googlenet: 0.149, inception_v3: 0.425, mobilenet_v2: 0.215, regnet: 0.485, regnet_y_800mf: 0.377,
    resnet101: 0.784, resnet18: 0.3, resnet50: 0.532, resnext101: 1.817, resnext50: 0.625, shufflenet_v2: 0.266,
    squeezenet1_1: 0.182, wideresnet50: 1.204,
  }),
  of('snapdragon-8-elite-gen-5', 'int8', {
    densenet121: 0.897, googlenet: 0.146, inception_v3: 0.37, mobilenet_v2: 0.18, regnet: 0.443, regnet_y_800mf: 0.321,
    resnet101: 0.743, resnet18: 0.258, resnet50: 0.485, resnext101: 1.512, resnext50: 0.537, shufflenet_v2: 0.208,
    squeezenet1_1: 0.15, wideresnet50: 1.082,
  }),
  of('snapdragon-x-elite', 'int8', {
    densenet121: 2.638, googlenet: 0.343, inception_v3: 0.661, mobilenet_v2: 0.555, regnet: 1.072, regnet_y_800mf: 0.862,
    resnet101: 1.27, resnet18: 0.604, resnet50: 0.963, resnext101: 3.076, resnext50: 1.259, shufflenet_v2: 0.591,
    squeezenet1_1: 0.48, wideresnet50: 1.79,
  }),
  of('qcs6490', 'int8', {
    googlenet: 1.049, inception_v3: 2.289, mobilenet_v2: 1.355, regnet: 2.704, regnet_y_800mf: 1.653, resnet101: 4.583,
    resnet18: 1.805, resnet50: 2.981, resnext101: 9.316, resnext50: 3.089, shufflenet_v2: 1.074, squeezenet1_1: 1.069,
    wideresnet50: 7.783,
  }),
];
