#include "algorithms/convert_layout.h"

#include "algorithms/tiling.h"
#include "core/parallel.h"
#include "kernels/tables.h"

namespace convext {
namespace {

// Each image is a matrix to be transposed, cut into blocks that lie on few pages.
template <typename T>
void transpose_images(const TensorShape& shape, const T* from, T* to, Layout layout, Isa isa, int threads) {
  constexpr int64_t kRows = 256, kCols = 64;
  const bool last = layout == Layout::kChannelsLast;
  const int64_t height = last ? shape.channels : shape.pixels, width = last ? shape.pixels : shape.channels;
  const EvenSplit rows = EvenSplit::of_at_most(height, kRows), cols = EvenSplit::of_at_most(width, kCols);
  const TransposeFn<T> transpose = convext::transpose<T>(isa);
  // Small images (of weights, say) go several to a task.
  const EvenSplit tasks = EvenSplit::of_at_most(shape.images * rows.parts, ceil_div(kRows * kCols, height * width));
  parallel_for(threads, tasks.parts, [&](int64_t task, int) {
    for (int64_t i = tasks.begin(task); i < tasks.begin(task + 1); ++i) {
      const int64_t image = i / rows.parts * height * width, r = rows.begin(i % rows.parts);
      cols.each([&](int64_t c, int64_t count) {
        transpose(from + image + r * width + c, width, rows.length(i % rows.parts), count, to + image + c * height + r,
                  height);
      });
    }
  });
}

}  // namespace

void convert_layout(DType dtype, const TensorShape& shape, const void* from, void* to, Layout layout, Isa isa,
                    int threads) {
  if (dtype == DType::kFloat32)
    transpose_images(shape, static_cast<const float*>(from), static_cast<float*>(to), layout, isa, threads);
  else
    transpose_images(shape, static_cast<const double*>(from), static_cast<double*>(to), layout, isa, threads);
}

}  // namespace convext
