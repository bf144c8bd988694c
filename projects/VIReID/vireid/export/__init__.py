"""A trained model for other runtimes: ONNX, TorchScript and safetensors."""
