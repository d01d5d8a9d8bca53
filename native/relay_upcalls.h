// What the relay's thread has to tell, packed into bytes, until the other side takes them: one wake-up for many.
// Bounded: what does not fit is dropped and counted. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "endpoint.h"

namespace entremise {

// The numbers stand in src/relay/native-upcalls.ts.
enum class Upcall : uint8_t {
  kControl = 1,
  kElsewhere = 2,
  kDatagram = 3,
  kPortDatagram = 4,
  kUnapproved = 5,
  kOversize = 6,
  kUnreachable = 7,
  kSpent = 8,
  kIdle = 9,
};

class RelayUpcalls {
 public:
  // `wake` is called when there is something after there was nothing.
  explicit RelayUpcalls(std::function<void()> wake) : wake_(std::move(wake)) {}

  // type u8 · x u32 · y u32 · detail u8 · peer · local (family u8, address) · length u32 · bytes; see the writer for
  // what x, y and detail are by type. A peer or local that is none has family 0 and nothing behind it.
  // False when it was dropped.
  bool Tell(Upcall type, uint32_t x, uint32_t y, uint8_t detail, const Endpoint& peer, const Address& local,
            const uint8_t* bytes, size_t length);
  std::vector<uint8_t> Take();
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<uint8_t> waiting_;
  std::atomic<uint64_t> dropped_{0};
};

}  // namespace entremise
