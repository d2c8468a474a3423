// A reduction whose chunks are summed apart and added in their order. The problem alone decides on them: so results do
// not depend on the threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/integers.h"
#include "core/scratch.h"

namespace convext {

// As many tasks keep all threads busy.
inline constexpr int64_t kBusyTasks = 16;

// How many tasks so much arithmetic is worth, up to `most`.
inline int64_t worthwhile_tasks(double flops, int64_t most = std::numeric_limits<int64_t>::max()) {
  constexpr double kFlops = 1 << 22;  // of a task: 20 us of a core
  return flops / kFlops < static_cast<double>(most) ? static_cast<int64_t>(flops / kFlops) + 1 : most;
}

// How many chunks, of `blocks` of pixels at most: as many as keep all threads busy, where the result itself is cut into
// `apart` tasks, and no more than a MiB of partial sums holds, which have to be added.
inline int64_t chunk_count(int64_t apart, int64_t sums_bytes, int64_t blocks) {
  constexpr int64_t kMaxBytes = 1 << 20;
  const int64_t affordable = kMaxBytes / std::max<int64_t>(1, sums_bytes);
  return std::clamp<int64_t>(std::min(ceil_div(kBusyTasks, apart), affordable), 1, std::max<int64_t>(1, blocks));
}

// The sums of each chunk, shared by all threads: `count` numbers, and those of a bias gradient.
template <typename T>
struct ChunkSums {
  T *first, *others;
  double* bias;
  int64_t count, biases;
  size_t bytes;

  // in_place: the first chunk's numbers are the result's own memory.
  ChunkSums(std::byte* memory, int64_t chunks, int64_t count, int64_t biases, bool in_place, T* result)
      : count(count), biases(biases) {
    ScratchAllocator take(memory);
    first = in_place ? result : take.array<T>(count);
    others = take.array<T>((chunks - 1) * count);
    bias = take.array<double>(chunks * biases);
    bytes = take.bytes();
  }

  T* of(int64_t chunk) const { return chunk == 0 ? first : others + (chunk - 1) * count; }
  double* bias_of(int64_t chunk) const { return bias + chunk * biases; }
};

// sum[i] += others[i] + others[pitch + i] + ..., one after the other, for all chunks but the first, which is `sum`.
template <typename T>
void add_chunks(T* sum, const T* others, int64_t pitch, int64_t chunks, int64_t count) {
  constexpr int64_t kAtOnce = 1024;  // they stay in L1
  for (int64_t first = 0; first < count; first += kAtOnce)
    for (int64_t chunk = 1, last = std::min(count, first + kAtOnce); chunk < chunks; ++chunk)
      for (int64_t i = first; i < last; ++i) sum[i] += others[(chunk - 1) * pitch + i];
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
