"""An ONNX file on its way to a torch module: read, folded, run node by node, compared with ONNX Runtime."""
