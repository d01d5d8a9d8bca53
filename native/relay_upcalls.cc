#include "relay_upcalls.h"

#include "packet.h"

namespace entremise {
namespace {

// Datagrams leave room for what channels need to live.
constexpr size_t kMostBytes = 1024 * 1024;
constexpr size_t kMostDatagramBytes = kMostBytes / 4 * 3;

bool IsDatagram(Upcall type) {
  return type == Upcall::kDatagram || type == Upcall::kPortDatagram || type == Upcall::kUnapproved ||
         type == Upcall::kOversize;
}

}  // namespace

bool RelayUpcalls::Tell(Upcall type, uint32_t x, uint32_t y, uint8_t detail, const Endpoint& peer,
                        const Address& local, const uint8_t* bytes, size_t length) {
  const size_t peer_bytes = peer.known() ? peer.WireBytes() : 1;
  const size_t local_bytes = local.family == 0 ? 1 : 1 + local.length();
  const size_t record = 10 + peer_bytes + local_bytes + 4 + length;
  bool wake = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t before = waiting_.size();
    if (before + record > (IsDatagram(type) ? kMostDatagramBytes : kMostBytes)) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    waiting_.resize(before + record);
    uint8_t* at = waiting_.data() + before;
    *at++ = static_cast<uint8_t>(type);
    WriteU32(at, x);
    WriteU32(at + 4, y);
    at[8] = detail;
    at += 9;
    if (peer.known()) {
      at = peer.Write(at);
    } else {
      *at++ = 0;
    }
    *at++ = local.family;
    if (local.family != 0) memcpy(at, local.bytes, local.length());
    at += local_bytes - 1;
    WriteU32(at, static_cast<uint32_t>(length));
    if (length > 0) memcpy(at + 4, bytes, length);
    wake = before == 0;
  }
  if (wake) wake_();
  return true;
}

std::vector<uint8_t> RelayUpcalls::Take() {
  std::vector<uint8_t> taken;
  const std::lock_guard<std::mutex> lock(mutex_);
  taken.swap(waiting_);
  return taken;
}

}  // namespace entremise
