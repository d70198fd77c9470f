/* The library of the stand-in. FAKE_NEEDS bytes of arena are enough, it says it uses FAKE_USES. */
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/micro_interpreter.h"

void MicroPrintf(const char *format, ...) {
  va_list args;
  va_start(args, format);
  DebugLog(format, args);
  va_end(args);
}

#ifdef FAKE_CMSIS_NN
extern "C" int arm_convolve_s8() { return 0; }
#endif

namespace {

TfLiteEvalTensor eval_tensors[2];

TfLiteEvalTensor *eval_tensor(const TfLiteContext *, int i) { return &eval_tensors[i]; }

TfLiteStatus reshape(TfLiteContext *context, TfLiteNode *node) {
  (void)node;
  memcpy(context->GetEvalTensor(context, 1)->data.raw, context->GetEvalTensor(context, 0)->data.raw,
         16);
  return kTfLiteOk;
}

}  // namespace

namespace tflite {

TFLMRegistration Register_RESHAPE() { return {reshape}; }

MicroInterpreter::MicroInterpreter(const Model *, const MicroOpResolver &resolver, uint8_t *arena,
                                   size_t bytes)
    : resolver_(resolver), arena_(arena), bytes_(bytes), tensors_() {}

TfLiteStatus MicroInterpreter::AllocateTensors() {
  assert(arena_ != nullptr);
  if (bytes_ < FAKE_NEEDS) {
    MicroPrintf("Failed to allocate %s: needs %d, has %u\n", "tensors", FAKE_NEEDS,
                static_cast<unsigned>(bytes_));
    return kTfLiteError;
  }
  for (int i = 0; i < 2; i++) {
    tensors_[i] = {{reinterpret_cast<char *>(arena_ + 16 * i)}, 16};
    eval_tensors[i] = {{tensors_[i].data.raw}};
  }
  return kTfLiteOk;
}

size_t MicroInterpreter::arena_used_bytes() const { return FAKE_USES; }

TfLiteStatus MicroInterpreter::Invoke() {
  static TfLiteIntArray output = {1, {1}};
  static TfLiteNode node = {&output};
  static TfLiteContext context = {eval_tensor};
  const TFLMRegistration *found = resolver_.FindOp(BuiltinOperator_RESHAPE);
  if (found == nullptr) return kTfLiteError;
  return found->invoke(&context, &node);
}

}  // namespace tflite
