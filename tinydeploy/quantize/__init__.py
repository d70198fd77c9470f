"""From a trained model to an int8 `.tflite`; the only folder that imports TensorFlow, when asked."""
