// Puts datagrams together that came in two packets (P7.5). No clock, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

namespace entremise {

class PartAssembly {
 public:
  // Halves that wait for the other one.
  static constexpr size_t kMost = 256;

  explicit PartAssembly(uint64_t patience_ms) : patience_ms_(patience_ms) {}

  // `part` is the body of a PART packet. True when *whole is a datagram's body now. *lost: halves that were given up.
  bool Take(const uint8_t* part, size_t length, uint64_t now_ms, std::vector<uint8_t>* whole, uint64_t* lost);
  // False for what no PART may look like.
  static bool IsPart(const uint8_t* part, size_t length) { return length >= 6 && part[4] <= 1; }

 private:
  struct Half {
    std::vector<uint8_t> bytes;
    uint64_t until_ms = 0;
    uint8_t index = 0;
  };
  struct Waiting {
    uint32_t id;
    uint64_t until_ms;
  };
  // Gives up what is late, and the oldest when there would be too many.
  uint64_t MakeRoom(uint64_t now_ms);

  uint64_t patience_ms_;
  std::unordered_map<uint32_t, Half> halves_;
  // In order of arrival; entries whose half is gone, or came anew, are passed over.
  std::deque<Waiting> order_;
};

}  // namespace entremise
