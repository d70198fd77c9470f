#include "td_bytes.h"
#include "td_mul.h"

static inline int32_t scale(const td_mul_affine *p, int32_t product) {
  return td_smmla(product * (1 << 15), p->multiplier, p->offset) >> p->shift;
}

static void mul_row(const void *params, const int8_t *a, const int8_t *b, int8_t *out) {
  const td_mul_affine *p = params;
  const uint32_t minus0 = td_pack_halves(-p->zero0, -p->zero0);
  const uint32_t minus1 = td_pack_halves(-p->zero1, -p->zero1);
  const uint32_t low = td_repeat_byte(p->low), high = td_repeat_byte(p->high);
  int32_t left = p->operands.row;
  for (; left >= 4; left -= 4) {
    const uint32_t a_bytes = td_load4(a);
    const uint32_t b_bytes = td_load4(b);
    const uint32_t a_even = td_sxtab16(minus0, a_bytes);
    const uint32_t b_even = td_sxtab16(minus1, b_bytes);
    const uint32_t a_odd = td_sxtab16(minus0, td_rotate(a_bytes, 8));
    const uint32_t b_odd = td_sxtab16(minus1, td_rotate(b_bytes, 8));
    const uint32_t even =
        td_pack_halves(scale(p, td_smulbb(a_even, b_even)), scale(p, td_smultt(a_even, b_even)));
    const uint32_t odd =
        td_pack_halves(scale(p, td_smulbb(a_odd, b_odd)), scale(p, td_smultt(a_odd, b_odd)));
    const uint32_t bytes = td_pack_bytes(td_saturate_halves(even), td_saturate_halves(odd));
    td_store4(out, td_min_bytes(td_max_bytes(bytes, low), high));
    a += 4;
    b += 4;
    out += 4;
  }
  for (; left > 0; --left) {
    int32_t value = scale(p, (*a++ - p->zero0) * (*b++ - p->zero1));
    if (value < p->low) value = p->low;
    if (value > p->high) value = p->high;
    *out++ = (int8_t)value;
  }
}

void td_s8_mul_affine__dsp(const td_mul_affine *p, const void *const *inputs, int8_t *out,
                           void *scratch) {
  (void)scratch;
  td_operands_all(&p->operands, p, inputs, out, mul_row);
}
