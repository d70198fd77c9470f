/* CONCATENATION, of elements of any size.
 *
 * The output is `times` turns; in a turn each part gives its next bytes, in order.
 *
 * Arguments:
 *     p: all sizes at least 1.
 *     inputs: the parts that are computed at run time, in order: [times, bytes], any
 *         alignment.
 *     out: [times, sum of all bytes], any alignment, must not overlap an input.
 *     scratch: not used.
 */
#ifndef TD_CONCATENATION_H
#define TD_CONCATENATION_H

#include <stdint.h>

typedef struct {
  int32_t times;
  int32_t part_count;
  const int32_t *parts;    /* [part_count][2]: bytes in a turn; where in `constants`, -1 if not */
  const int8_t *constants; /* the parts that are constants; NULL where there is none */
} td_concatenation;

void td_s8_concatenation__scalar(const td_concatenation *p, const void *const *inputs, void *out,
                                 void *scratch);
void td_s8_concatenation__mve(const td_concatenation *p, const void *const *inputs, void *out,
                              void *scratch);

/* Copies bytes; returns what lies behind those written. */
typedef int8_t *td_copy_bytes(int8_t *to, const int8_t *from, int32_t count);

static inline void td_concatenate(const td_concatenation *p, const void *const *inputs, int8_t *to,
                                  td_copy_bytes *copy) {
  for (int32_t turn = 0; turn < p->times; ++turn) {
    const void *const *input = inputs;
    for (int32_t i = 0; i < p->part_count; ++i) {
      const int32_t bytes = p->parts[2 * i], constant = p->parts[2 * i + 1];
      const int8_t *from = constant >= 0 ? p->constants + constant : *input++;
      to = copy(to, from + turn * bytes, bytes);
    }
  }
}

#endif
