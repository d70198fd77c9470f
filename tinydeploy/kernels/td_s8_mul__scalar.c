#include "td_mul.h"

void td_s8_mul__scalar(const td_mul *p, const void *const *inputs, int8_t *out, void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, td_mul_row);
}
