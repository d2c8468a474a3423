// The end of a reduction whose chunks were summed apart. They are added in their order, which the problem alone
// decides: so results do not depend on the threads.
#pragma once

#include <cstdint>

namespace convext {

// sum[i] += others[i] + others[pitch + i] + ..., one after the other, for all chunks but the first, which is `sum`.
template <typename T>
void add_chunks(T* sum, const T* others, int64_t pitch, int64_t chunks, int64_t count) {
  for (int64_t chunk = 1; chunk < chunks; ++chunk, others += pitch)
    for (int64_t i = 0; i < count; ++i) sum[i] += others[i];
}

// bias[c] = sums[c] + sums[channels + c] + ...: a bias gradient stays in double up to its end.
template <typename T>
void add_bias_chunks(T* bias, const double* sums, int64_t chunks, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += sums[chunk * channels + c];
    bias[c] = static_cast<T>(sum);
  }
}

}  // namespace convext
