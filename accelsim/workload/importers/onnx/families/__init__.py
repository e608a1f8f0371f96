"""What operators of ONNX become, a family a module; `table` has them by name."""
