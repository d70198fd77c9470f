#include "td_add.h"

void td_s8_add__scalar(const td_add *p, const void *const *inputs, int8_t *out, void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, td_add_row);
}
