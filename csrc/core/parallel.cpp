#include "core/parallel.h"

#include <omp.h>

#include <algorithm>

namespace convext::internal {

void parallel_for(int threads, int64_t tasks, TaskFn fn, const void* body) {
  const int team = static_cast<int>(std::min<int64_t>(threads, tasks));
#pragma omp parallel for num_threads(team) schedule(dynamic, 1)
  for (int64_t task = 0; task < tasks; ++task) fn(body, task, omp_get_thread_num());
}

}  // namespace convext::internal
