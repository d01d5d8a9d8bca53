// Which counters of a key have been received (P7.3). Asked before a packet is opened, told only after its tag was good.
#pragma once

#include <array>
#include <cstdint>

namespace entremise {

class ReplayWindow {
 public:
  static constexpr uint64_t kCounters = 4096;

  bool IsNew(uint64_t counter) const {
    if (counter >= next_) return true;
    if (next_ - counter > kCounters) return false;
    return (bits_[WordOf(counter)] & BitOf(counter)) == 0;
  }
  void Mark(uint64_t counter) {
    if (counter >= next_) MoveTo(counter);
    bits_[WordOf(counter)] |= BitOf(counter);
  }

 private:
  // One word more than the window: the one that the newest counter enters is cleared as a whole (RFC 6479).
  static constexpr uint64_t kWords = kCounters / 64 + 1;
  static uint64_t WordOf(uint64_t counter) { return counter / 64 % kWords; }
  static uint64_t BitOf(uint64_t counter) { return uint64_t{1} << (counter % 64); }

  void MoveTo(uint64_t counter) {
    const uint64_t to = counter / 64;
    // Nothing has been received yet: the words are clear.
    const uint64_t from = next_ == 0 ? to : (next_ - 1) / 64;
    if (to - from >= kWords) {
      bits_.fill(0);
    } else {
      for (uint64_t block = from + 1; block <= to; block++) bits_[block % kWords] = 0;
    }
    next_ = counter + 1;
  }

  std::array<uint64_t, kWords> bits_ = {};
  uint64_t next_ = 0;
};

}  // namespace entremise
