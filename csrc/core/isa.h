// The instruction sets that kernels are written for, what this machine has, and the user's cap on it.
#pragma once

#include <cstdint>
#include <string_view>

namespace convext {

enum class Isa : uint8_t { kScalar, kAvx2, kAvx512 };
inline constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512};

std::string_view to_string(Isa isa);

// Throws std::invalid_argument for anything but "scalar", "avx2" and "avx512".
Isa parse_isa(std::string_view name);

// The best set that the processor has and the operating system saves (found once).
Isa detected_isa();

// The set to use now: what was detected, capped by set_isa_cap() or, before any call of it, by the
// environment variable CONVEXT_ISA. One of convext's three process-wide atomics; read once a call.
Isa isa_cap();

// Throws std::invalid_argument if this machine does not have `isa`.
void set_isa_cap(Isa isa);

}  // namespace convext
