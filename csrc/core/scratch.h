// Cuts a workspace into arrays. Without memory it only counts: the same code plans a workspace and uses it.
#pragma once

#include <cstdint>

#include "core/context.h"

namespace convext {

class ScratchAllocator {
 public:
  explicit ScratchAllocator(std::byte* memory) : memory_(memory) {}

  template <typename T>
  T* array(int64_t count) {
    std::byte* here = memory_ == nullptr ? nullptr : memory_ + bytes_;
    bytes_ += align_up(static_cast<size_t>(count) * sizeof(T));
    return reinterpret_cast<T*>(here);
  }

  size_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  size_t bytes_ = 0;
};

}  // namespace convext
