#include "core/parallel.h"

#include <omp.h>

#include <algorithm>
#include <atomic>

namespace convext::internal {
namespace {

// Tasks that adjoin, to be taken from the front; a cache line of its own.
struct alignas(64) TaskRange {
  std::atomic<int64_t> next;
  int64_t end;
};

constexpr int kMaxRanges = 64;  // 4 KiB of stack; threads beyond help

}  // namespace

void parallel_for(int threads, int64_t tasks, TaskOrder order, TaskFn fn, const void* body) {
  const int team = static_cast<int>(std::min<int64_t>(threads, tasks)),
            ranges = order == TaskOrder::kApart ? std::min(team, kMaxRanges) : 1;
  const auto first = [&](int i) { return tasks / ranges * i + std::min<int64_t>(i, tasks % ranges); };
  TaskRange range[kMaxRanges];
  for (int i = 0; i < ranges; ++i) {
    range[i].next.store(first(i), std::memory_order_relaxed);
    range[i].end = first(i + 1);
  }
#pragma omp parallel num_threads(team)
  {
    const int thread = omp_get_thread_num();
    for (int i = 0; i < ranges; ++i) {
      TaskRange& from = range[(thread + i) % ranges];
      for (int64_t task; (task = from.next.fetch_add(1, std::memory_order_relaxed)) < from.end;) fn(body, task, thread);
    }
    finish_streams();
  }
}

}  // namespace convext::internal
