/* The types of numbers in kernels' parameters. A model comes with a td_sizes.h of its own, in which
 * they are as narrow as its layers allow; arithmetic is of 32 bits all the same. It also says what
 * is true of all its layers, so that code for others is left out. */
#ifndef TD_SIZES_H
#define TD_SIZES_H

#include <stdint.h>

typedef int32_t td_size;  /* of tensors */
typedef int32_t td_small; /* of windows; zero points and limits */

#define TD_ALWAYS_ABOVE 0    /* the output zero point of each convolution is -128 */
#define TD_FOURS 1           /* td_dot_fpu.h takes four channels at once where it can */
#define TD_STRIP_WIDTHS 0x78 /* bit n: td_depthwise_3x3.h meets a strip of n columns */

#endif
