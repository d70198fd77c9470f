/* Of a stand-in for TensorFlow Lite for Microcontrollers: runs one RESHAPE of 16 bytes. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "tensorflow/lite/micro/operators.h"

namespace tflite {

class MicroInterpreter {
 public:
  MicroInterpreter(const Model *model, const MicroOpResolver &resolver, uint8_t *arena,
                   size_t bytes);
  TfLiteStatus AllocateTensors();
  TfLiteStatus Invoke();
  TfLiteTensor *input(size_t i) { return i == 0 ? &tensors_[0] : nullptr; }
  TfLiteTensor *output(size_t i) { return i == 0 ? &tensors_[1] : nullptr; }
  size_t arena_used_bytes() const;

 private:
  const MicroOpResolver &resolver_;
  uint8_t *arena_;
  size_t bytes_;
  TfLiteTensor tensors_[2];
};

}  // namespace tflite
