"""Networks that come from, or go to, Keras, ONNX and IDAES."""
