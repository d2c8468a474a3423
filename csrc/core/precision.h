// How exact float32 and float64 sums shall be: a process-wide setting, read once a call.
#pragma once

#include <cstdint>
#include <string_view>

namespace convext {

// kHigh: algorithms with fewer multiplications too, whose rounding errors are larger by a stated factor.
// kHighest: direct sums only.
enum class Precision : uint8_t { kHigh, kHighest };

std::string_view to_string(Precision precision);

// Throws std::invalid_argument if there is no such name.
Precision parse_precision(std::string_view name);

Precision float_precision();
void set_float_precision(Precision precision);

}  // namespace convext
