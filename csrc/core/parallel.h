// The one place where threads are used.
#pragma once

#include <cstdint>
#include <type_traits>

namespace convext {

// Who gets which task.
enum class TaskOrder {
  kInTurns,  // the first that is left: threads work near each other, and share what adjoining tasks have in common
  kApart,    // each thread has a range of its own, and helps others when that is done: what adjoining tasks read and
             // write adjoins, comes to one core and stays in its cache for the next layer
};

namespace internal {
// Stores past the caches are in order with others from here on.
inline void finish_streams() { __builtin_ia32_sfence(); }

using TaskFn = void (*)(const void* body, int64_t task, int thread);
void parallel_for(int threads, int64_t tasks, TaskOrder order, TaskFn fn, const void* body);
}  // namespace internal

// Calls body(task, thread) once for each task in [0, tasks), on at most `threads` threads; thread is in
// [0, threads). Tasks are taken dynamically, so which thread runs a task is not fixed: a result may depend
// on its task alone. With one thread no OpenMP region is opened (a forked child may then still convolve).
// What bodies have written, past the caches too, is there for all threads afterwards. body must not throw.
template <typename Body>
void parallel_for(int threads, int64_t tasks, TaskOrder order, const Body& body) {
  static_assert(std::is_invocable_v<const Body&, int64_t, int>);
  if (threads <= 1 || tasks <= 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task, 0);
    internal::finish_streams();
    return;
  }
  internal::parallel_for(
      threads, tasks, order,
      [](const void* b, int64_t task, int thread) { (*static_cast<const Body*>(b))(task, thread); }, &body);
}
template <typename Body>
void parallel_for(int threads, int64_t tasks, const Body& body) {
  parallel_for(threads, tasks, TaskOrder::kInTurns, body);
}

// Splits the fastest index, of `parts` values, off the number of a task, which then counts the others:
//   parallel_for(threads, rows * columns, [&](int64_t task, int thread) {
//     const int64_t column = take_index(task, columns), row = task;
inline int64_t take_index(int64_t& task, int64_t parts) {
  const int64_t index = task % parts;
  task /= parts;
  return index;
}

}  // namespace convext
