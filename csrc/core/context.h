// What a run may use: threads and memory, both given by the caller.
#pragma once

#include <cstddef>

namespace convext {

// Every part of a workspace starts on such a boundary: a cache line, and a whole AVX-512 register.
inline constexpr size_t kAlignment = 64;
inline constexpr size_t align_up(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Bytes that a plan needs: one part that all threads share (packed weights, partial sums), and one part
// for each thread. Both are multiples of kAlignment.
struct Workspace {
  size_t shared_bytes = 0;
  size_t thread_bytes = 0;

  size_t total(int threads) const { return shared_bytes + thread_bytes * static_cast<size_t>(threads); }
};

struct Context {
  int threads = 1;                 // as torch says at this entry; 1 inside another parallel region
  std::byte* workspace = nullptr;  // Workspace::total(threads) bytes, aligned to kAlignment

  std::byte* shared() const { return workspace; }
  std::byte* of_thread(const Workspace& w, int thread) const {
    return workspace + w.shared_bytes + w.thread_bytes * static_cast<size_t>(thread);
  }
};

}  // namespace convext
