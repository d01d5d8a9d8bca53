// sources: part_assembly.cc
// Halves of datagrams in any order, late, twice and too many (native/part_assembly.h): a row of records of
// pause u8 · length u8 · that many bytes of a PART's body.
#include <vector>

#include "../packet.h"
#include "../part_assembly.h"
#include "check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entremise::PartAssembly parts(50);
  uint64_t now_ms = 0;
  uint64_t taken = 0;
  uint64_t given = 0;
  uint64_t lost_in_all = 0;
  for (size_t at = 0; at + 2 <= size;) {
    now_ms += data[at];
    const size_t wanted = data[at + 1];
    at += 2;
    const size_t length = wanted < size - at ? wanted : size - at;
    // A copy of its own, so that what is read beyond it is noticed.
    const std::vector<uint8_t> part(data + at, data + at + length);
    at += length;
    if (!entremise::PartAssembly::IsPart(part.data(), part.size())) continue;
    std::vector<uint8_t> whole;
    uint64_t lost = 0;
    taken++;
    const bool complete = parts.Take(part.data(), part.size(), now_ms, &whole, &lost);
    Check(complete == !whole.empty());
    Check(!complete || whole.size() >= length - entremise::kPartHeadBytes + 1);
    given += complete ? 2 : 0;
    lost_in_all += lost;
  }
  // What has come was put together, given up, or waits.
  Check(given + lost_in_all <= taken);
  Check(taken - given - lost_in_all <= entremise::PartAssembly::kMost);
  return 0;
}
