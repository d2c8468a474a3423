#include "core/precision.h"

#include <atomic>
#include <stdexcept>
#include <string>

namespace convext {
namespace {
std::atomic<Precision> setting{Precision::kHigh};
}

std::string_view to_string(Precision precision) { return precision == Precision::kHigh ? "high" : "highest"; }

Precision parse_precision(std::string_view name) {
  for (Precision precision : {Precision::kHigh, Precision::kHighest})
    if (to_string(precision) == name) return precision;
  throw std::invalid_argument("convext: unknown precision '" + std::string(name) + "': use high or highest");
}

Precision float_precision() { return setting.load(std::memory_order_relaxed); }
void set_float_precision(Precision precision) { setting.store(precision, std::memory_order_relaxed); }

}  // namespace convext
