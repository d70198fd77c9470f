#include "td_add.h"
#include "td_bytes.h"

static inline int8_t finish(const td_add_affine *p, int32_t sum) {
  int32_t value = sum >> p->shift;
  if (value < p->low) value = p->low;
  if (value > p->high) value = p->high;
  return (int8_t)value;
}

static void add_row(const void *params, const int8_t *a, const int8_t *b, int8_t *out) {
  const td_add_affine *p = params;
  const int32_t multiplier0 = p->multiplier0, multiplier1 = p->multiplier1;
  const int32_t offset = p->offset, shift = p->shift;
  const uint32_t low = td_repeat_byte(p->low), high = td_repeat_byte(p->high);
  /* A byte in the upper half of a halfword is the byte times 2^8. */
  const uint32_t upper = 0xff00ff00u;
  int32_t left = p->operands.row;
  for (; left >= 4; left -= 4) {
    const uint32_t a_bytes = td_load4(a);
    const uint32_t b_bytes = td_load4(b);
    const uint32_t a_even = a_bytes << 8 & upper, a_odd = a_bytes & upper;
    const uint32_t b_even = b_bytes << 8 & upper, b_odd = b_bytes & upper;
    const int32_t s0 = td_smlawb(multiplier1, b_even, td_smlawb(multiplier0, a_even, offset));
    const int32_t s1 = td_smlawb(multiplier1, b_odd, td_smlawb(multiplier0, a_odd, offset));
    const int32_t s2 = td_smlawt(multiplier1, b_even, td_smlawt(multiplier0, a_even, offset));
    const int32_t s3 = td_smlawt(multiplier1, b_odd, td_smlawt(multiplier0, a_odd, offset));
    const uint32_t even = td_pack_halves(s0 >> shift, s2 >> shift);
    const uint32_t odd = td_pack_halves(s1 >> shift, s3 >> shift);
    const uint32_t bytes = td_pack_bytes(td_saturate_halves(even), td_saturate_halves(odd));
    td_store4(out, td_min_bytes(td_max_bytes(bytes, low), high));
    a += 4;
    b += 4;
    out += 4;
  }
  for (; left > 0; --left) {
    const uint32_t a_byte = (uint32_t)*a++ << 8, b_byte = (uint32_t)*b++ << 8;
    *out++ = finish(p, td_smlawb(multiplier1, b_byte, td_smlawb(multiplier0, a_byte, offset)));
  }
}

void td_s8_add_affine__dsp(const td_add_affine *p, const void *const *inputs, int8_t *out,
                           void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, add_row);
}
