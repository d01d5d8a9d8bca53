// What a relay counts, readable by any thread at any time. The names stand in src/native/relay-addon.ts, in this order.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace entremise {

enum class Count : uint8_t {
  kPacketsIn,
  kBytesIn,
  kPacketsOut,
  kBytesOut,
  kOverflow,
  kUnknown,
  kMalformed,
  kForged,
  kReplayed,
  kUnbound,
  kPathless,
  kOversize,
  kUnsent,
  kFull,
  kHalves,
  kForeign,
  kLimited,
  kCounts,
};

class RelayCounters {
 public:
  static constexpr size_t kNumber = static_cast<size_t>(Count::kCounts);

  // The relay's thread only: one writer, so that no bus is locked.
  void Add(Count what, uint64_t more = 1) {
    std::atomic<uint64_t>& value = values_[static_cast<size_t>(what)];
    value.store(value.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  void In(size_t bytes) {
    Add(Count::kPacketsIn);
    Add(Count::kBytesIn, bytes);
  }
  void Out(uint64_t packets, uint64_t bytes) {
    Add(Count::kPacketsOut, packets);
    Add(Count::kBytesOut, bytes);
  }
  uint64_t Read(size_t index) const { return values_[index].load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<uint64_t>, kNumber> values_ = {};
};

}  // namespace entremise
