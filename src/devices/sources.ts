/** Where the figures of this folder were read. `read` is the month; commits name what was read of a repository. */

export interface Source {
  readonly title: string;
  readonly url: string;
  readonly read: string;
}

const at = (title: string, url: string, read = '2026-08'): Source => ({ title, url, read });
const git = (repository: string, commit: string, path: string, read = '2026-08'): Source =>
  at(`${repository} ${path}`, `https://github.com/${repository}/blob/${commit}/${path}`, read);

export const SOURCES = {
  // CPU and GPU
  'ort-quantize': git('microsoft/onnxruntime', 'main', 'onnxruntime/python/tools/quantization/quantize.py'),
  'ort-opsets': at(
    'ONNX Runtime compatibility',
    'https://onnxruntime.ai/docs/reference/compatibility.html',
    '2026-11',
  ),
  'ort-qnn': at(
    'ONNX Runtime QNN execution provider',
    'https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html',
  ),
  xnnpack: git('google/XNNPACK', '75db3c09', 'README.md'),
  'executorch-xnnpack': git(
    'pytorch/executorch',
    'cff6f4dd',
    'docs/source/backends/xnnpack/xnnpack-quantization.md',
  ),
  modelopt: git('NVIDIA/Model-Optimizer', 'a2fbac7b', 'examples/onnx_ptq/README.md'),
  'modelopt-placement': git(
    'NVIDIA/Model-Optimizer',
    'a2fbac7b',
    'tests/unit/onnx/quantization/test_qdq_rules_int8.py',
  ),
  'orin-nano-bench': at(
    'Jetson Orin Nano benchmarks: hardware table',
    'https://github.com/hokwangchoi/jetson-orin-nano-benchmarks',
    '2026-11',
  ),
  'orin-nx-datasheet': at(
    'NVIDIA Jetson Orin NX series datasheet',
    'https://github.com/icub-tech-iit/cad-libraries/files/13056089/JETSON-ORIN-NX-DATASHEET.pdf',
    '2026-11',
  ),
  'ultralytics-jetson': git(
    'ultralytics/ultralytics',
    '01007503',
    'docs/en/guides/nvidia-jetson.md',
    '2026-11',
  ),
  torch2trt: git('NVIDIA-AI-IOT/torch2trt', '4e820ae', 'benchmarks', '2026-11'),
  'isp-benchmark': git('ispcojp/ai_inference_device_benchmark', '4b85a7a', 'results', '2026-11'),
  'tensor-core-guide': at(
    'NVIDIA deep learning performance guide: tensor core requirements',
    'https://docs.nvidia.com/deeplearning/performance/dl-performance-convolutional/index.html',
  ),
  'ort-web-ops': at(
    'onnxruntime-web 1.30: docs/webgpu-operators.md',
    'https://github.com/microsoft/onnxruntime/blob/v1.30.0/js/web/docs/webgpu-operators.md',
    '2026-11',
  ),
  'onnx-tensorrt': git('onnx/onnx-tensorrt', '96e7811', 'docs/operators.md', '2026-11'),
  'ort-web': at(
    'ONNX Runtime Web: WebGPU execution provider',
    'https://onnxruntime.ai/docs/tutorials/web/ep-webgpu.html',
  ),
  // Qualcomm
  'htp-depth': at(
    'Qualcomm AI Engine Direct: HTP guidelines, low depth activations',
    'https://docs.qualcomm.com/bundle/publicresource/topics/80-63442-50/htp_guidelines_low_depth_activations.html',
  ),
  'htp-int4': at(
    'Qualcomm AI Engine Direct: HTP guidelines, INT4 weights',
    'https://docs.qualcomm.com/bundle/publicresource/topics/80-63442-50/htp_guidelines_int4_weights.html',
  ),
  'htp-backend': at(
    'Qualcomm AI Engine Direct: HTP backend',
    'https://docs.qualcomm.com/bundle/publicresource/topics/80-63442-50/htp_backend.html',
  ),
  'executorch-qnn': git('pytorch/executorch', 'cff6f4dd', 'backends/qualcomm/quantizer/qconfig.py'),
  'executorch-htp-rules': git(
    'pytorch/executorch',
    'cff6f4dd',
    'backends/qualcomm/quantizer/annotators/htp_rules.py',
  ),
  'executorch-socs': git('pytorch/executorch', 'cff6f4dd', 'backends/qualcomm/serialization/qc_schema.py'),
  'qnn-onnx-ops': at(
    'Qualcomm AI Engine Direct: supported ONNX ops',
    'https://docs.qualcomm.com/bundle/publicresource/80-63442-10/topics/supported_onnx_ops.md',
    '2026-11',
  ),
  'ort-qnn-builders': git(
    'microsoft/onnxruntime',
    '00cd7c6',
    'onnxruntime/core/providers/qnn/builder/op_builder_factory.cc',
    '2026-11',
  ),
  'ort-qnn-config': git(
    'microsoft/onnxruntime',
    'main',
    'onnxruntime/python/tools/quantization/execution_providers/qnn/quant_config.py',
  ),
  'ai-hub': git('qualcomm/ai-hub-models', 'b61a0090', 'qai_hub_models/models/*/perf.yaml'),
  'soc-memory': at(
    'Snapdragon SoC comparison',
    'https://gist.github.com/EwoutH/754fa40ad9ddc93d55084fc46569c759',
    '2026-11',
  ),
  'qualcomm-press': at('Qualcomm product pages and press', 'https://www.qualcomm.com/products'),
  // Texas Instruments
  'tidl-ops': git('TexasInstruments/edgeai-tidl-tools', '95ba2c7', 'docs/supported_ops_rts_versions.md'),
  'tidl-quantization': git('TexasInstruments/edgeai-tidl-tools', '95ba2c7', 'docs/tidl_fsg_quantization.md'),
  'ti-modelmaker': git(
    'TexasInstruments/edgeai-tensorlab',
    'f272548e',
    'edgeai-modelmaker/edgeai_modelmaker/ai_modules/vision/constants.py',
  ),
  'ti-models': git(
    'TexasInstruments/edgeai-tensorlab',
    'f272548e',
    'edgeai-modelmaker/edgeai_modelmaker/ai_modules/vision/training',
  ),
  'ti-optimization': git(
    'TexasInstruments/edgeai-tensorlab',
    'f272548e',
    'edgeai-modeloptimization/README.md',
  ),
  // Ambarella
  'ultralytics-ambarella': at(
    'Ultralytics: Ambarella export',
    'https://docs.ultralytics.com/integrations/ambarella',
  ),
  'ambarella-faq': at('Ambarella developer FAQ', 'https://www.ambarella.com/blog/dev-faq'),
  'cooper-garden': git('Ambarella-Inc/cooper-model-garden', '9dc9fc6', 'README.md'),
  'ambarella-cv5s-press': at(
    'Press report of the CV5S and CV52S launch',
    'http://pt.mfgrobots.com/iiot/embedded/1004005238.html',
    '2026-11',
  ),
  'ambarella-press': at('Ambarella product pages and press', 'https://www.ambarella.com/products'),
  // Arm
  'vela-ops': git('nxp-imx/ethos-u-vela', 'a6f6566', 'SUPPORTED_OPS.md'),
  'vela-estimates': at(
    'Vela 5.2.0: vela --verbose-performance (an estimate by the maker, not a measurement)',
    'https://pypi.org/project/ethos-u-vela/5.2.0/',
    '2026-11',
  ),
  'vela-report': at(
    'Vela 5.2.0: vela --supported-ops-report',
    'https://pypi.org/project/ethos-u-vela/5.2.0/',
    '2026-11',
  ),
  'vela-features': git('nxp-imx/ethos-u-vela', 'a6f6566', 'ethosu/vela/architecture_features.py'),
  'vela-ini': git('nxp-imx/ethos-u-vela', 'a6f6566', 'ethosu/config_files/Arm/vela.ini'),
  'vela-docs': at(
    'CMSIS Ethos-U: Vela',
    'https://arm-software.github.io/CMSIS-Ethos-U/main/vela/index.html',
    '2026-11',
  ),
  'executorch-ethos': git(
    'pytorch/executorch',
    'cff6f4dd',
    'docs/source/backends/arm-ethos-u/arm-ethos-u-quantization.md',
  ),
  'executorch-cortex-m': git(
    'pytorch/executorch',
    'cff6f4dd',
    'docs/source/backends/arm-cortex-m/arm-cortex-m-overview.md',
  ),
  'cmsis-nn': git('ARM-software/CMSIS-NN', '99f736a', 'README.md', '2026-11'),
  'mlperf-tiny-11': git('mlcommons/tiny_results_v1.1', 'c32ef94', 'closed'),
  'mlperf-tiny-12': git('mlcommons/tiny_results_v1.2', 'cadb362', 'closed'),
  // Intel
  'nncf-cpu': git('openvinotoolkit/nncf', 'ef8e1dbd', 'src/nncf/common/hardware/setups/cpu.py'),
  'nncf-gpu': git('openvinotoolkit/nncf', 'ef8e1dbd', 'src/nncf/common/hardware/setups/gpu.py'),
  'nncf-npu': git('openvinotoolkit/nncf', 'ef8e1dbd', 'src/nncf/common/hardware/setups/npu.py'),
  'openvino-npu': at(
    'OpenVINO: NPU device',
    'https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/npu-device.html',
  ),
  'openvino-formats': at(
    'OpenVINO: supported model formats',
    'https://docs.openvino.ai/2026/openvino-workflow/model-preparation.html',
  ),
  'openvino-onnx-ops': git(
    'openvinotoolkit/openvino',
    '0ae60f0',
    'src/frontends/onnx/docs/supported_ops.md',
    '2026-11',
  ),
  'openvino-benchmarks': git(
    'openvinotoolkit/openvino',
    '16867e9',
    'docs/sphinx_setup/_static/benchmarks_files/OV-benchmark-data.csv',
    '2026-11',
  ),
  'ultralytics-openvino': git(
    'ultralytics/ultralytics',
    '031ecff',
    'docs/en/integrations/openvino.md',
    '2026-11',
  ),
  'intel-press': at(
    'Intel product briefs of Core Ultra',
    'https://www.intel.com/content/www/us/en/products/docs/processors/core-ultra/core-ultra-series-1-product-brief.html',
  ),
  // STMicroelectronics
  'st-neuralart': at(
    'ST Edge AI Core: Neural-ART supported operators',
    'https://stedgeai-dc.st.com/assets/embedded-docs/stneuralart_operator_support.html',
  ),
  'st-neuralart-concepts': at(
    'ST Edge AI Core: Neural-ART concepts',
    'https://stedgeai-dc.st.com/assets/embedded-docs/stneuralart_programming_model.html',
    '2026-11',
  ),
  'st-h7p': at(
    'ST Edge AI Core: STM32H7P and STM32N6',
    'https://stedgeai-dc.st.com/assets/embedded-docs/stneuralart_n6_vs_h7p.html',
    '2026-11',
  ),
  'st-mp2-npu': at(
    'ST wiki: STM32MP2 NPU description',
    'https://wiki.st.com/stm32mpu/wiki/STM32MP2_NPU_description',
    '2026-11',
  ),
  'st-series': at(
    'ST Edge AI Core for STM32 series',
    'https://stedgeai-dc.st.com/assets/embedded-docs/4.0.0/stm32_command_line_interface.html',
    '2026-11',
  ),
  'st-onnx-ops': at(
    'ST Edge AI Core: ONNX toolbox support',
    'https://stedgeai-dc.st.com/assets/embedded-docs/supported_ops_onnx.html',
    '2026-11',
  ),
  'tim-vx': git('VeriSilicon/TIM-VX', '128d19b', 'docs/Operators.md', '2026-11'),
  'st-zoo': at('STM32 model zoo', 'https://github.com/STMicroelectronics/stm32ai-modelzoo'),
  'st-datasheets': at(
    'STM32 product pages and datasheets',
    'https://www.st.com/en/microcontrollers-microprocessors/stm32-32-bit-arm-cortex-mcus.html',
  ),
  onnx: at('ONNX operators and quantization', 'https://onnx.ai/onnx/operators/'),
  tflm: git('tensorflow/tflite-micro', '03e16b2', 'python/tflite_micro/python_ops_resolver.cc', '2026-11'),
  'tflm-int16': git(
    'tensorflow/tflite-micro',
    '68f5545',
    'tensorflow/lite/kernels/internal/reference/integer_ops/conv.h',
    '2026-11',
  ),
  'tflite-spec': at(
    'LiteRT 8-bit quantization specification',
    'https://ai.google.dev/edge/litert/models/quantization_spec',
  ),
} as const satisfies Record<string, Source>;

export type SourceKey = keyof typeof SOURCES;
