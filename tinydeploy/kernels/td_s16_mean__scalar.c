#define TD_ELEMENT int16_t
#include "td_mean.h"

void td_s16_mean__scalar(const td_mean *p, const int16_t *in, int16_t *out, void *scratch) {
  td_mean_all(p, in, out, scratch);
}
