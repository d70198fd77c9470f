/* The types of numbers in kernels' parameters. A model comes with a td_sizes.h of its own, in which
 * they are as narrow as its layers allow; arithmetic is of 32 bits all the same. */
#ifndef TD_SIZES_H
#define TD_SIZES_H

#include <stdint.h>

typedef int32_t td_size;  /* of tensors */
typedef int32_t td_small; /* of windows; zero points and limits */

#endif
