#define TD_ELEMENT int16_t
#include "td_add.h"

void td_s16_add__scalar(const td_add *p, const void *const *inputs, int16_t *out, void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, td_add_row);
}
