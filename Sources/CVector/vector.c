#include "vector.h"

#include <math.h>
#include <string.h>

// The best of these that the processor has is taken when the program is loaded.
#if defined(__x86_64__) && defined(__linux__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define FOR_EACH_PROCESSOR
#endif

static inline float float_at(const void *vector, size_t index) {
  float value;
  memcpy(&value, (const char *)vector + index * sizeof value, sizeof value);
  return value;
}

double bat_dot_floats(const void *a, const void *b, size_t count) {
  // Four sums, so that an addition need not wait for the one before.
  double sums[4] = {0};
  for (size_t i = 0; i < count; i++) sums[i % 4] += (double)float_at(a, i) * float_at(b, i);
  return sums[0] + sums[1] + sums[2] + sums[3];
}

float bat_quantise(const void *vector, size_t count, double length, int8_t *codes, size_t dimension, float *scale) {
  double largest = 0;
  for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs((double)float_at(vector, i)));
  *scale = (float)(largest / length / 127);
  double step = *scale, lost = 0;
  for (size_t i = 0; i < count; i++) {
    double component = float_at(vector, i) / length;
    double code = fmin(127, fmax(-127, nearbyint(component / step)));
    codes[i] = (int8_t)code;
    lost += (component - code * step) * (component - code * step);
  }
  memset(codes + count, 0, dimension - count);
  // More than what the conversion to float can take away.
  return (float)(sqrt(lost) * (1 + 1e-6) + 1e-9);
}

FOR_EACH_PROCESSOR
void bat_upper_bounds(const int8_t *codes, const float *scales, const float *errors, size_t dimension, size_t count, bat_query query,
                      float *bounds) {
  for (size_t i = 0; i < count; i++) {
    const int8_t *code = codes + i * dimension;
    int32_t sum = 0;
    for (size_t d = 0; d < dimension; d += 32)
      for (size_t k = 0; k < 32; k++) sum += (int32_t)code[d + k] * query.components[d + k];
    // |q·v − q̃·ṽ| ≤ |q||v − ṽ| + |q − q̃||ṽ|, with |q| = |v| = 1; and 1e-6 for the arithmetic of this line itself.
    bounds[i] = (float)sum * (scales[i] * query.scale) + errors[i] + query.error * (1 + errors[i]) + 1e-6f;
  }
}

FOR_EACH_PROCESSOR
uint32_t bat_checksum(const void *bytes, size_t count, uint32_t seed) {
  const char *at = bytes;
  uint32_t low = seed, high = 0;
  for (size_t i = 0; i < count; i += 4) {
    uint32_t word;
    memcpy(&word, at + i, 4);
    low += word;
    high += word * (uint32_t)(i + 0x9e3779b1u);
  }
  return low ^ (high << 7 | high >> 25);
}
