/* How ADD, SUB and MUL walk over two operands that broadcast against each other.
 *
 * The output is written from its first element to its last, a row at a time. In a row an operand
 * runs along (step 1) or stays (step 0). Around the rows are loops that move both operands.
 */
#ifndef TD_OPERANDS_H
#define TD_OPERANDS_H

#include <stddef.h>
#include <stdint.h>

#include "td_element.h"
#include "td_loops.h"

typedef struct {
  int32_t row;          /* elements in a row, at least 1 */
  int32_t step0, step1; /* 0 or 1 */
  int32_t loop_count;   /* at most TD_LOOPS_MOST */
  const int32_t *loops; /* [loop_count][3], see td_loops.h; NULL where there is none */
  const void *constant; /* operand 1 where it is a constant, else NULL */
} td_operands;

/* Computes a row: out[i] = f(a[i * step0], b[i * step1]), 0 <= i < row. `params` is the kernel's.
 */
typedef void td_operands_row(const void *params, const td_element *a, const td_element *b,
                             td_element *out);

/* Calls `row` for every row. `inputs` are the operands that are computed at run time. */
static inline void td_operands_all(const td_operands *p, const void *params,
                                   const void *const *inputs, td_element *out,
                                   td_operands_row *row) {
  const td_element *a = inputs[0];
  const td_element *b = p->constant != NULL ? p->constant : inputs[1];
  int32_t turns[TD_LOOPS_MOST] = {0};
  for (;;) {
    row(params, a, b, out);
    out += p->row;
    const int32_t *moves = td_loops_next(p->loops, p->loop_count, 3, turns);
    if (moves == NULL) return;
    a += moves[1];
    b += moves[2];
  }
}

#endif
