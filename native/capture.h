// Events of TCP connections off the wire (S15, S16): a thread that drains the rings of some interfaces into a bounded
// queue. Plain C++: no N-API, no libuv.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "capture_filter.h"
#include "capture_ring.h"
#include "fd.h"

namespace entremise {

// Everything but the thread's own work is called by the owner, on one thread.
class Capture {
 public:
  // `on_news`: there is something to Take(); called on the capture's thread. EPERM without CAP_NET_RAW.
  static int Start(std::function<void()> on_news, std::unique_ptr<Capture>* out);
  // Joins the thread: no on_news during or after it.
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  // From now on events of this interface; one that was taken away and is there again under its name is taken anew.
  // *index is what records call it.
  int AddInterface(const std::string& name, unsigned* index);
  // False when it was not there.
  bool RemoveInterface(const std::string& name);

  // The ports that it is about. Events of those that were there before and still are go on without a gap.
  int SetTargets(CaptureTargets targets);

  // A record is kRecordBytes long, numbers are big-endian:
  //   0 kind u8 · 1 from u8 (1 peer, 2 gateway) · 2 zero u16 · 4 interface u32 · 8 sequence u32 · 12 acknowledgement u32
  //   16 time u64, µs since 1970 · 24 own number u16 · 26 own address · 42 peer's number u16 · 44 peer's address · 60 zero
  static constexpr size_t kRecordBytes = 64;
  // Records that may wait to be taken; those behind them are lost.
  static constexpr size_t kMaxRecords = 8192;

  struct Batch {
    std::vector<uint8_t> records;
    // Events that were seen, or should have been, and are in no batch: since the last.
    uint64_t lost = 0;
  };
  Batch Take();

  // Since the start.
  struct Counters {
    uint64_t seen = 0;      // packets that passed the kernel's filter
    uint64_t recorded = 0;  // events of the ports that came of them
    uint64_t lost = 0;
  };
  Counters counters();

 private:
  using RingPointer = std::shared_ptr<CaptureRing>;

  Capture(Fd wake, std::function<void()> on_news) : wake_(std::move(wake)), on_news_(std::move(on_news)) {}
  static void* Main(void* capture);
  void Run();
  std::vector<RingPointer> Rings();
  void Wait(const std::vector<RingPointer>& rings);
  // True when there is news for the owner.
  bool Drain(CaptureRing& ring);
  void Record(const CaptureRing& ring, const CapturedEvent& event, uint64_t time_us);
  void Wake();

  const Fd wake_;  // eventfd: rings have changed, or it is over
  const std::function<void()> on_news_;
  pthread_t thread_ = {};
  bool running_ = false;

  std::mutex mutex_;  // all below
  bool over_ = false;
  std::map<std::string, RingPointer> rings_;
  std::shared_ptr<const CaptureTargets> targets_ = std::make_shared<CaptureTargets>();
  Batch waiting_;
  Counters counters_;
};

}  // namespace entremise
