#define TD_ELEMENT int16_t
#include "td_pool.h"

void td_s16_average_pool_2d__scalar(const td_pool *p, const int16_t *in, int16_t *out,
                                    void *scratch) {
  (void)scratch;
  td_pool_all(p, in, out, td_pool_mean_window);
}
