#include "td_mve_fully_connected.h"

void td_s8_fully_connected__mve(const td_fully_connected *p, const int8_t *in, int8_t *out,
                                void *scratch) {
  td_mve_fully_connected(p, in, out, scratch);
}
