#include "td_pool.h"

void td_s8_max_pool_2d__scalar(const td_pool *p, const int8_t *in, int8_t *out, void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, td_pool_max_window);
}
