#include "core/isa.h"

#include <cpuid.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace convext {
namespace {

constexpr std::string_view kNames[] = {"scalar", "avx2", "avx512"};

// XCR0 tells which register files the operating system saves at a context switch.
uint64_t read_xcr0() {
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

Isa detect() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return Isa::kScalar;
  constexpr uint32_t kFma = 1u << 12, kOsxsave = 1u << 27, kAvx = 1u << 28, kF16c = 1u << 29;
  constexpr uint32_t kLeaf1 = kFma | kOsxsave | kAvx | kF16c;
  if ((c & kLeaf1) != kLeaf1) return Isa::kScalar;
  constexpr uint64_t kYmmState = 0x6, kZmmState = 0xe6;
  const uint64_t xcr0 = read_xcr0();
  if ((xcr0 & kYmmState) != kYmmState) return Isa::kScalar;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & 1u << 5)) return Isa::kScalar;
  constexpr uint32_t kAvx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;  // F, DQ, BW, VL
  return (b & kAvx512) == kAvx512 && (xcr0 & kZmmState) == kZmmState ? Isa::kAvx512 : Isa::kAvx2;
}

void check_available(Isa isa) {
  if (isa > detected_isa())
    throw std::invalid_argument("convext: this machine has no " + std::string(to_string(isa)) + "; its best is " +
                                std::string(to_string(detected_isa())));
}

Isa initial_cap() {
  const char* name = std::getenv("CONVEXT_ISA");
  if (name == nullptr || *name == '\0') return detected_isa();
  const Isa isa = parse_isa(name);
  check_available(isa);
  return isa;
}

std::atomic<Isa>& cap() {
  static std::atomic<Isa> value{initial_cap()};
  return value;
}

}  // namespace

std::string_view to_string(Isa isa) { return kNames[static_cast<size_t>(isa)]; }

Isa parse_isa(std::string_view name) {
  for (Isa isa : kAllIsas)
    if (to_string(isa) == name) return isa;
  throw std::invalid_argument("convext: unknown instruction set '" + std::string(name) +
                              "': use scalar, avx2 or avx512");
}

Isa detected_isa() {
  static const Isa isa = detect();
  return isa;
}

Isa isa_cap() { return cap().load(std::memory_order_relaxed); }

void set_isa_cap(Isa isa) {
  check_available(isa);
  cap().store(isa, std::memory_order_relaxed);
}

}  // namespace convext
