// The inner loops of vector search, in C because Swift cannot compile one function for several generations of the
// processor and choose when it starts. Plain loops that the compiler makes vectors of; no state, any thread.
//
// `dimension` of codes and of a query is a multiple of 32, filled up with zeros. Floats need no alignment.
#pragma once
#include <stddef.h>
#include <stdint.h>

// The sum of products of two vectors of `count` floats, in double precision.
double bat_dot_floats(const void *a, const void *b, size_t count);

// Brings a vector to length 1 and rounds it to codes, so that code · scale is near each component; fills up with zeros.
// Returns an upper bound for the length of what rounding took away. `length` is the vector's, above 0.
float bat_quantise(const void *vector, size_t count, double length, int8_t *codes, size_t dimension, float *scale);

// One query, rounded to whole numbers: component · scale. |component| · 127 · dimension stays below 2^31.
typedef struct bat_query {
  const int16_t *components;
  float scale;
  float error; // upper bound for the length of what rounding took away
} bat_query;

// For each of `count` vectors that stand one behind the other, a number that their cosine with the query is not above
// and hardly below. An error of minus infinity gives minus infinity.
void bat_upper_bounds(const int8_t *codes, const float *scales, const float *errors, size_t dimension, size_t count, bat_query query,
                      float *bounds);

// The same for those of the vectors that stand at these `count` places; `first` is the place of the first of all.
void bat_upper_bounds_of(const int32_t *places, int32_t first, const int8_t *codes, const float *scales, const float *errors,
                         size_t dimension, size_t count, bat_query query, float *bounds);

// A number that tells damage of the bytes. `count` is a multiple of 4.
uint32_t bat_checksum(const void *bytes, size_t count, uint32_t seed);
