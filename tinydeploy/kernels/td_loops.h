/* Nested loops around the rows of a tensor, with a table of how far positions move.
 *
 * `loops` has a row of `width` numbers for each loop, innermost first: the loop's extent, then for
 * each position what it goes on by when this loop takes its next turn and all the loops inside it
 * start again.
 */
#ifndef TD_LOOPS_H
#define TD_LOOPS_H

#include <stddef.h>
#include <stdint.h>

enum { TD_LOOPS_MOST = 5 };

/* Goes on to the next row. `turns` has TD_LOOPS_MOST zeros before the first row.
 *
 * Returns the table's row with the moves to make; NULL after the last row. */
static inline const int32_t *td_loops_next(const int32_t *loops, int32_t count, int32_t width,
                                           int32_t *turns) {
  for (; count > 0; --count, loops += width, ++turns) {
    if (++*turns < *loops) return loops;
    *turns = 0;
  }
  return NULL;
}

#endif
