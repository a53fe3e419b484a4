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

__attribute__((always_inline)) static inline float upper_bound(const int8_t *code, float scale, float error, size_t dimension,
                                                               bat_query query) {
  int32_t sum = 0;
  dimension = dimension / 32 * 32;  // What the header says, for the compiler.
  for (size_t d = 0; d < dimension; d++) sum += (int32_t)code[d] * query.components[d];
  // |q·v − q̃·ṽ| ≤ |q||v − ṽ| + |q − q̃||ṽ|, with |q| = |v| = 1; and 1e-6 for the arithmetic of this line itself.
  return (float)sum * (scale * query.scale) + error + query.error * (1 + error) + 1e-6f;
}

FOR_EACH_PROCESSOR
void bat_upper_bounds(const int8_t *codes, const float *scales, const float *errors, size_t dimension, size_t count, bat_query query,
                      float *bounds) {
  for (size_t i = 0; i < count; i++) bounds[i] = upper_bound(codes + i * dimension, scales[i], errors[i], dimension, query);
}

FOR_EACH_PROCESSOR
void bat_upper_bounds_of(const int32_t *places, int32_t first, const int8_t *codes, const float *scales, const float *errors,
                         size_t dimension, size_t count, bat_query query, float *bounds) {
  for (size_t i = 0; i < count; i++) {
    // The processor cannot guess where the next ones are.
    if (i + 8 < count)
      for (size_t d = 0; d < dimension; d += 64) __builtin_prefetch(codes + (size_t)(places[i + 8] - first) * dimension + d);
    size_t place = (size_t)(places[i] - first);
    bounds[i] = upper_bound(codes + place * dimension, scales[place], errors[place], dimension, query);
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
