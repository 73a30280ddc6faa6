"""What computes a network: torch as it is, compiled, as a CUDA graph, ONNX Runtime, OpenVINO."""
