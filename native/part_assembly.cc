#include "part_assembly.h"

#include "packet.h"

namespace entremise {
namespace {

// Behind a half that waits stand the ones that came together since: they are bounded too.
constexpr size_t kMostRemembered = 8 * PartAssembly::kMost;

}  // namespace

bool PartAssembly::Take(const uint8_t* part, size_t length, uint64_t now_ms, std::vector<uint8_t>* whole,
                        uint64_t* lost) {
  *lost = MakeRoom(now_ms);
  const uint32_t id = ReadU32(part);
  const uint8_t index = part[4];
  const uint8_t* bytes = part + kPartHeadBytes;
  const uint8_t* end = part + length;
  const auto found = halves_.find(id);
  if (found == halves_.end()) {
    const uint64_t until_ms = now_ms + patience_ms_;
    halves_[id] = {std::vector<uint8_t>(bytes, end), until_ms, index};
    order_.push_back({id, until_ms});
    return false;
  }
  // The replay window lets no packet in twice: an id that comes twice is the sender's fault, the first half stays.
  if (found->second.index == index) {
    *lost += 1;
    return false;
  }
  *whole = std::move(found->second.bytes);
  halves_.erase(found);
  if (index == 1) {
    whole->insert(whole->end(), bytes, end);
  } else {
    whole->insert(whole->begin(), bytes, end);
  }
  return true;
}

uint64_t PartAssembly::MakeRoom(uint64_t now_ms) {
  uint64_t lost = 0;
  while (!order_.empty()) {
    const Waiting oldest = order_.front();
    const auto half = halves_.find(oldest.id);
    const bool gone = half == halves_.end() || half->second.until_ms != oldest.until_ms;
    const bool full = halves_.size() >= kMost || order_.size() >= kMostRemembered;
    if (!gone && oldest.until_ms > now_ms && !full) break;
    if (!gone) {
      halves_.erase(half);
      lost++;
    }
    order_.pop_front();
  }
  return lost;
}

}  // namespace entremise
