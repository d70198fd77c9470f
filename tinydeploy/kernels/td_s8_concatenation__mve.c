#include "td_concatenation.h"
#include "td_copy.h"

void td_s8_concatenation__mve(const td_concatenation *p, const void *const *inputs, void *out,
                              void *scratch) {
  (void)scratch;
  int8_t *to = out;
  for (int32_t turn = 0; turn < p->times; ++turn) {
    const void *const *input = inputs;
    for (int32_t i = 0; i < p->part_count; ++i) {
      const int32_t bytes = p->parts[2 * i], constant = p->parts[2 * i + 1];
      const int8_t *from = constant >= 0 ? p->constants + constant : *input++;
      to = td_copy(to, from + turn * bytes, bytes);
    }
  }
}
