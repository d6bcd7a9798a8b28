"""TensorFlow's files on their way to a torch module: a child process turns them into ONNX and says what they answer."""
